"""The commands and the code of README.md and CONTRIBUTING.md do what they say."""

import re
import sys
from collections.abc import Iterator

import pytest

from regexp.__main__ import run
from regexp.commands import COMMANDS
from regexp.commands.arguments import parse, starts_jobs
from regexp.config.jobs import compose
from tests.sandbox import Sandbox
from tests.shown import ROOT, commands, is_target, write_files

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SHOWN = commands(README) + commands(CONTRIBUTING)


@pytest.fixture
def project(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """The files that README.md shows in the working directory, and that on Python's path."""
    shown = write_files(README, sandbox.folder)
    assert shown == ["my_project.py", "my_conf/regularizer/random_gain.yaml"]
    monkeypatch.syspath_prepend(sandbox.folder)
    yield sandbox
    sys.modules.pop("my_project", None)


@pytest.mark.parametrize("command", SHOWN, ids=" ".join)
@pytest.mark.usefixtures("project")
def test_commands_are_valid(command: list[str]) -> None:
    if re.fullmatch(r"regexp -m experiment=\w+", " ".join(command)):
        return  # tests/config/test_config.py has those
    if command[0] == "make":
        assert is_target(command[1])
        return
    assert command[0] == "regexp"
    if command[1:] and command[1] in COMMANDS:
        assert run([command[1], "--help"]) == 0
        return
    options, _ = parse(command[1:])
    assert starts_jobs(options)
    assert compose(options).jobs


def test_a_technique_of_ones_own_trains(
    project: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    [command] = [command for command in SHOWN if "--config-dir" in command]
    assert project.run(*command[1:], "dataset.train_size=64") == 0
    assert "random_gain: test accuracy" in capsys.readouterr().out
