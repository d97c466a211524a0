"""Tables in Markdown, and what the files of `conf` say put into words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep
from text import markdown

CONF = Path(__file__).parents[1] / "conf"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, with an empty one after it."""
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]


def cell(text: str) -> str:
    """Markdown that may stand in a table."""
    return " ".join(text.replace("|", "\\|").split())


def value(default: Any) -> str:
    """A default as YAML writes it."""
    if default is None or isinstance(default, bool):
        return {None: "`null`", True: "`true`", False: "`false`"}[default]
    if isinstance(default, dict):  # a schedule
        return "`{" + ", ".join(f"{key}: {one}" for key, one in default.items()) + "}`"
    return f"`{default}`"


def search_range(override: str | dict[str, str] | None) -> str:
    """A range of Hydra's sweep grammar, in words; those of a number's schedule by its keys."""
    if override is None:
        return "–"
    if isinstance(override, dict):
        return "; ".join(f"`{key}` {search_range(text)}" for key, text in override.items())
    space = OverridesParser.create().parse_override(f"key={override}").value()
    if isinstance(space, IntervalSweep):
        scale = ", logarithmic" if "log" in space.tags else ""
        return f"{space.start:g} to {space.end:g}{scale}"
    if isinstance(space, ChoiceSweep):
        return ", ".join(map(str, space.list))
    return f"`{override}`"


def choices(group: str) -> str:
    """The choices of a group of the configuration, with what the head of each file says."""
    rows = []
    for path in sorted((CONF / group).glob("*.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        head = next(index for index, line in enumerate(lines) if not line.startswith("#"))
        text = " ".join(line.lstrip("# ") for line in lines[:head])
        rows.append([f"`{path.stem}`", cell(markdown(text))])
    return "\n".join(table([f"`{group}=`", "what it is"], rows))
