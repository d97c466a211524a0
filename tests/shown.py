"""What README and docs show: blocks of code, files, commands."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]


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
