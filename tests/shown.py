"""What README and docs show: blocks of code, files, commands."""

import importlib.util
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]

# Another each time: ids, checksums, where runs lie, seconds, and times relative to the baseline's.
VOLATILE = re.compile(
    r"\b[0-9a-f]{32}\b|\b[0-9a-f]{12}\.\.\.|http://\S+/experiments/\d+|sqlite:\S+"
    r"|\d+\.\d s\b|×\d+\.\d\d"
)
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def assert_alike(printed: str, shown: str) -> None:
    """The same words, and the same numbers but for rounding.

    On one machine they are the same to the bit; on another a few rows may be predicted otherwise.
    """
    printed, shown = VOLATILE.sub("VOLATILE", printed), VOLATILE.sub("VOLATILE", shown)
    assert NUMBER.sub("NUMBER", printed).split() == NUMBER.sub("NUMBER", shown).split()
    numbers, expected = ([float(n) for n in NUMBER.findall(text)] for text in (printed, shown))
    assert numbers == pytest.approx(expected, abs=0.01, rel=0.02)


def load_module(path: Path) -> ModuleType:
    """A module from its file; it may import what lies beside it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look for their own module there
    spec.loader.exec_module(module)
    return module


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[list[str]]:
    """The words of every command in a block of bash; those of `make study` and the like too."""
    lines = [
        line for block in blocks(text, "bash") for line in block.replace("\\\n", " ").split("\n")
    ]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def write_files(text: str, folder: Path) -> list[str]:
    """Write the blocks that begin with a comment that names their file; the names.

    A `# @package` line of a YAML stands before the name.
    """
    names = []
    for block in blocks(text, "python") + blocks(text, "yaml"):
        if named := re.match(r"(?:# @package .*\n)?# (\S+\.(?:py|yaml))\n", block):
            names.append(named.group(1))
            path = folder / names[-1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block)
    return names


def is_target(name: str) -> bool:
    """Whether the Makefile has it."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return re.search(rf"^{name}:", makefile, re.MULTILINE) is not None
