"""Errors in one message, output that outlives its reader, and the commands that there are."""

import errno
import inspect
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

import regexp.commands.terminal
import regexp.config.jobs
from regexp.__main__ import FAILED, USAGE_ERROR, run
from regexp.commands import COMMANDS
from regexp.commands.arguments import CommandParser, parse
from regexp.commands.terminal import LENGTH, Lasting, explain_error, wrapped
from regexp.config.jobs import compose
from regexp.errors import ConfigError
from regexp.tracking import TrackingError
from tests.sandbox import SMALL, Sandbox

ROOT = Path(__file__).parents[2]


def started(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """A command in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "regexp", *arguments]
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, **options
    )  # fmt: skip


def test_an_output_outlives_its_reader() -> None:
    reader, writer = os.pipe()
    with Lasting(writer, "w") as output:
        assert output.write(b"seen") == 4
        os.close(reader)
        assert output.write(b"by nobody") == 9
        assert output.lost is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_an_output_that_is_lost_fails_the_command() -> None:
    with Path("/dev/full").open("w") as full, started("--help", stdout=full) as process:
        assert process.stderr is not None
        assert "No space left" in process.stderr.read()
    assert process.returncode == FAILED


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with started("--help", stdout=writer) as process:
        os.close(writer)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("error", "message", "mistaken"),
    [
        (ConfigError("a.b: expected"), "a.b: expected", True),
        (TrackingError("no server"), "no server", True),
        (TypeError("a\n  b"), "unexpected TypeError: a b; --debug shows where", False),
        (KeyError(), "unexpected KeyError; --debug shows where", False),
        (MemoryError("2 TB"), "out of memory (2 TB)", False),
        (RecursionError("deep"), "something in the command or in a file that it reads is nested "
                                 "too deeply", False),
        (ModuleNotFoundError("No module named 'x'"), "a Python package is missing or broken here "
         "(No module named 'x'); --debug shows which needs it", False),
        (OSError(errno.ENOSPC, "No space left", "x"), "[Errno 28] No space left: 'x'", False),
        (ConfigError("\x1b[31mred\r\x00\ud800"), "\\x1b[31mred\\r\\x00\\ud800", True),
        (ConfigError("x" * (LENGTH + 1)), "x" * LENGTH + "...", True),
    ],
)  # fmt: skip
def test_an_error_is_one_message(error: Exception, message: str, mistaken: bool) -> None:
    assert explain_error(error) == (message, mistaken)


@pytest.mark.parametrize("option", ["--debug", "debug=true", "HYDRA_FULL_ERROR", None])
def test_tracebacks_are_for_those_who_ask(
    option: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(regexp.config.jobs, "compose", broken)
    if option == "HYDRA_FULL_ERROR":
        monkeypatch.setenv(option, "1")
        option = None
    asked = option or os.environ.get("HYDRA_FULL_ERROR")
    assert run([option] if option else []) == FAILED
    *traceback, last = capsys.readouterr().err.splitlines()
    told, _, where = last.partition(" (")
    assert told == "regexp: unexpected ZeroDivisionError: a fault of ours"
    assert re.fullmatch(r"test_terminal\.py, line \d+\); --debug shows where", where)
    assert bool(traceback) == bool(asked)


def test_debug_is_a_key_for_the_jobs() -> None:
    options, arguments = parse(["--debug", "seeds=2"])
    assert arguments == ["seeds=2", "debug=true"]
    assert compose(options).config.debug is True
    given = CommandParser("rerun").split(["--debug", "RUN_ID"], keys=("paths.",))
    assert (given.words, given.config.debug) == (["RUN_ID"], True)


def test_a_fault_of_hydras_is_one_message_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert run(["trainer.epochs=1", "hydra.run.dir=file/x"]) == FAILED
    told = capsys.readouterr()
    assert "The launcher stopped: NotADirectoryError" in told.out
    assert "Traceback" not in told.out + told.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert f"regexp {name} " in capsys.readouterr().out


@pytest.mark.parametrize("name", ["compare", "rerun", "diff", "export"])
def test_a_command_refuses_an_option_that_it_does_not_have(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([name, "word", "--optoin", "--debug"]) == USAGE_ERROR
    message = f"regexp {name}: unrecognized arguments: --optoin; see regexp {name} --help"
    *traceback, last = capsys.readouterr().err.splitlines()
    assert traceback
    assert last == f"regexp: {message}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--config-dir my_conf predict ID table.csv --output out.csv",
         "predict: expected as the first word, as the name of a command; give regexp predict ID "
         "table.csv --output out.csv (--config-dir is an option of training, regexp search and "
         "regexp study, so it is left out)"),
        ("paths.mlruns=runs --debug compare 0a1b 'a word'",
         "compare: expected as the first word, as the name of a command; give regexp compare "
         "paths.mlruns=runs --debug 0a1b 'a word'"),
        ("--config-dir my_conf search dataset=wine",
         "search: expected as the first word, as the name of a command; give regexp search "
         "--config-dir my_conf dataset=wine"),
        ("--config-dir=my_conf study portfolio seeds=2",
         "study: expected as the first word, as the name of a command; give regexp study "
         "portfolio seeds=2 --config-dir=my_conf"),
        ("--sweep 0a1b rerun --allow=mine.",
         "rerun: expected as the first word, as the name of a command; give regexp rerun --sweep "
         "0a1b --allow=mine."),
        ("regularizer=l1 --allow mine.",
         "--allow is an option of regexp explain, regexp rerun, regexp predict and regexp "
         "export-model; a command's name comes first, as in regexp NAME ..."),
        ("--seed=3", "--seed: there is no such option; keys are given without dashes, as key="),
        ("--multirn seeds=2", "--multirn: there is no such option; keys are given without dashes, "
         "as key=value. Did you mean --multirun?"),
        ("seeds=2 --config-dir", "regexp: argument --config-dir/-cd: expected one argument; see "
         "regexp --help"),
        ("compare 0a1b --sweep", "regexp compare: unrecognized arguments: --sweep; --sweep is an "
         "option of regexp rerun; see regexp compare --help"),
    ],
)  # fmt: skip
def test_words_in_the_wrong_place_are_told_where_they_belong(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(shlex.split(words)) == USAGE_ERROR
    [line] = [one for one in capsys.readouterr().err.splitlines() if one.startswith("regexp: ")]
    assert line.startswith(f"regexp: {message}")


def test_the_help_has_a_line_on_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    told = capsys.readouterr().out.splitlines()
    for name in COMMANDS:
        assert any(line.startswith(f"regexp {name} ") for line in told)
    lists = [line for line in told if line.startswith(("  ", "regularizer:")) and "," in line]
    assert lists
    assert max(map(len, lists)) <= 80


def test_long_lists_are_wrapped_between_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    text = "group: " + ", ".join(["a-b_c"] * 9) + "\nother: 1"
    *lines, last = wrapped(text).splitlines()
    assert max(map(len, lines)) <= 20
    assert " ".join(line.strip() for line in lines) == text.splitlines()[0]
    assert last == "other: 1"


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("rrun", "rrun: expected key=value, or as the first word a command. Did you mean rerun?"),
        ("--experimental-rerun=x.pickle", "--experimental-rerun: it unpickles the file"),
        ("model.hidden=" + "[" * 2000 + "]" * 2000, "an override has brackets nested too deeply"),
        ("seeds=1000000000000", "seeds=1000000000000: expected a number of seeds"),
        ("trainer.epochs=10000000000", "trainer.epochs=10000000000: expected at most"),
        ("grid.trainer.threads=[1,2]", "grid.trainer.threads: expected the key of a number of"),
        ("grid.tracking.port=[1,2]", "grid.tracking.port: expected the key of a number of"),
        ("grid.seeds=[1,2]", "grid.seeds: expected the key of a number of"),
        ("grid.regularizer.l1.strength=[1,2]", "regularizer.l1: this job does not have the tech"),
    ],
)
def test_mistakes_of_the_command_line(
    argument: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([argument]) == USAGE_ERROR
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"regexp: {message}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "--cfg", "job", "seeds=1,2"], "--cfg goes without --multirun; leave one of them"),
        (["--resolve", "seeds=1"], "--resolve goes with --cfg alone"),
        (["--package", "model", "seeds=1"], "--package goes with --cfg alone"),
        (["ui", "seeds=3"], "seeds=3: expected keys of tracking or paths alone"),
        (["deliver", "-m"], "unrecognized arguments: -m"),
        (["export", "ID", "~nobody-of-this-name/x.zip"], "~nobody-of-this-name/x.zip"),
        (["compare", "ID", "--folder=~nobody-of-this-name/x"], "~nobody-of-this-name/x"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == USAGE_ERROR
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize("command", ["compare", "export"])
def test_the_home_folder_of_a_new_file_is_that_of_the_user(
    command: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell expands no `~` behind an equals sign."""
    monkeypatch.setenv("HOME", str(sandbox.folder / "home"))
    monkeypatch.chdir(sandbox.folder)
    assert sandbox.run(*SMALL) == 0
    [parent] = sandbox.parents()
    words = {"compare": (parent, "--folder=~/new"), "export": (parent, "~/new.zip")}
    (sandbox.folder / "home").mkdir()
    assert run([command, *words[command], *sandbox.arguments[:2]]) == 0
    assert [path.stem for path in (sandbox.folder / "home").iterdir()] == ["new"]
    assert not (sandbox.folder / "~").exists()


def test_a_sweep_of_endless_jobs_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-m", "trainer.epochs=range(1,1000000000)"]) == USAGE_ERROR
    assert "more than 10,000 jobs" in capsys.readouterr().err


def test_a_grid_of_a_technique_is_for_the_jobs_that_have_it() -> None:
    sweep = compose(
        parse(["-m", "regularizer=none,l1", "grid.regularizer.l1.strength=[0.1,0.2]"])[0]
    )
    none, l1 = (job.config.grid for job in sweep.jobs)
    assert not none.get("regularizer")
    assert l1.regularizer.l1.strength == [0.1, 0.2]


def test_warnings_are_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)  # put back afterwards
    regexp.commands.terminal.plain_warnings()
    told = warnings.formatwarning("two\n words", UserWarning, "file.py", 1, "code")
    assert told == "regexp: warning: two words\n"


def test_an_error_of_a_library_is_told_with_the_line_that_called_it() -> None:
    line = inspect.currentframe().f_lineno + 2  # type: ignore[union-attr]
    with pytest.raises(IndexError) as raised:
        torch.utils.data.TensorDataset(torch.zeros(2))[7]
    told, mistaken = explain_error(raised.value)
    where = f"(test_terminal.py, line {line}); --debug shows where"
    assert told == f"unexpected IndexError: {raised.value} {where}"
    assert not mistaken
