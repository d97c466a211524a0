"""The commands and the code of README.md and CONTRIBUTING.md do what they say."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from regexp.__main__ import run
from regexp.commands import COMMANDS
from regexp.commands.arguments import parse, starts_jobs
from regexp.config.jobs import compose

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


SHOWN = [
    shlex.split(line, comments=True)
    for block in blocks(README, "bash") + blocks(CONTRIBUTING, "bash")
    for line in block.splitlines()
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that README.md shows, on Python's path."""
    shown = [*blocks(README, "python"), *blocks(README, "yaml")]
    assert len(shown) == 3
    for block in shown:
        name = re.match(r"(?:# @package .*\n)?# (\S+)\n", block)
        assert name, "a file in README.md begins with its name, after its package if it has one"
        path = tmp_path / name.group(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", SHOWN, ids=" ".join)
def test_commands_are_valid(command: list[str], project: Path) -> None:
    if re.fullmatch(r"regexp -m experiment=\w+", " ".join(command)):
        return  # tests/config/test_config.py has those
    if command[0] == "make":
        assert re.search(rf"^{command[1]}:", MAKEFILE, re.MULTILINE), "no such target"
        return
    assert command[0] == "regexp"
    if command[1:] and command[1] in COMMANDS:
        assert run([command[1], "--help"]) == 0
        return
    options, _ = parse(command[1:])
    assert starts_jobs(options)
    assert compose(options).jobs
    sys.modules.pop("my_project", None)


def test_own_model_and_technique_train(
    project: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    [command] = [command for command in SHOWN if "--config-dir" in command]
    assert run([*command[1:], "dataset.train_size=64"]) == 0
    assert "random_gain: test accuracy" in capsys.readouterr().out
    sys.modules.pop("my_project", None)
