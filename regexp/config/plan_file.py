"""What a job gets from the command that planned it: a file that its configuration names.

The path travels in the job's own configuration, under the key `launch.plan`, and not in the
environment, which some launchers' workers do not inherit.
"""

import json
import operator
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from regexp.config.yaml_text import DUMPER, LOADER

KEY = "launch.plan"
"""The configuration's key with the file's path; null outside a sweep."""

LISTS = ("runs", "known")
"""The parts of a plan that are lists of mappings, one a run."""

_LEAVES = (str, int, float, bool, type(None))


def override(path: Path, key: str = KEY) -> str:
    """The override that gives a job its file."""
    quoted = str(path.absolute()).replace("'", "\\'")
    return f"{key}='{quoted}'"


def path_in(overrides: Sequence[str]) -> Path | None:
    """The file that `override` gave a job, if its overrides have one."""
    for override in reversed(overrides):
        key, _, value = override.partition("=")
        if key == KEY:
            return Path(value[1:-1].replace("\\'", "'"))
    return None


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a plan, of plain containers; what several of its parts share is written once.

    Args:
        path: of the file.
        content: the plan; `runs` and `known` are lists of mappings.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lists = {key: _packed(content[key]) for key in LISTS if content.get(key)}
    plan = dict(content) | {key: [len(content[key]), packed] for key, packed in lists.items()}
    text = yaml.dump(plan, Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A plan that `write` wrote."""
    with Path(path).open(encoding="utf-8") as file:
        content: dict[str, Any] = yaml.load(file, Loader=LOADER)
    for key in LISTS:
        if content.get(key):
            length, packed = content[key]
            content[key] = _unpacked(packed, length)
    return content


def _packed(rows: Sequence[Any]) -> dict[str, Any]:
    """Rows by what they have alike: YAML reads 100,000 values a second, and a run has 100.

    Only what is the same object counts as alike: 1 and 1.0 are equal, and other settings.
    """
    first = rows[0]
    if all(_same(row, first) for row in rows):
        return {"all": first}
    if isinstance(first, dict) and all(isinstance(r, dict) and [*r] == [*first] for r in rows):
        return {"keys": {key: _packed([row[key] for row in rows]) for key in first}}
    if all(map(_is_flat, rows)):
        return {"json": json.dumps(rows)}
    return {"each": list(rows)}


def _same(row: Any, first: Any) -> bool:
    """Whether two rows are one object, or lists of the same objects."""
    if isinstance(row, list) and isinstance(first, list):
        return len(row) == len(first) and all(map(operator.is_, row, first))
    return row is first


def _is_flat(row: Any) -> bool:
    """Whether a row is a single value, or a mapping of such; the metrics of runs differ in name."""
    if isinstance(row, dict):
        return all(type(key) is str and type(value) in _LEAVES for key, value in row.items())
    return type(row) in _LEAVES


def _unpacked(packed: Mapping[str, Any], length: int) -> list[Any]:
    """The rows of which there are so many."""
    [(kind, value)] = packed.items()
    match kind:
        case "all":
            return [value] * length
        case "keys":
            columns = [_unpacked(one, length) for one in value.values()]
            return [{key: c[at] for key, c in zip(value, columns, strict=True)}
                    for at in range(length)]  # fmt: skip
        case "json":
            rows: list[Any] = json.loads(value)
            return rows
        case _:
            return list(value)
