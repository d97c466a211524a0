"""What a job gets from the command that planned it: a file that its configuration names.

The path travels in the job's own configuration, under the key `launch.plan`, and not in the
environment, which some launchers' workers do not inherit.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from regexp.config.yaml_text import DUMPER, LOADER

KEY = "launch.plan"
"""The configuration's key with the file's path; null outside a sweep."""


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
    """Write a plan, of plain containers; what several of its parts share is written once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.dump(dict(content), Dumper=DUMPER, sort_keys=False, allow_unicode=True)
    path.write_text(text, encoding="utf-8")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A plan that `write` wrote."""
    with Path(path).open(encoding="utf-8") as file:
        content: dict[str, Any] = yaml.load(file, Loader=LOADER)
    return content
