"""Several processes at one search: they train what one does, each run once, whoever dies."""

import gc
import json
import multiprocessing
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from regexp.config import collector
from regexp.search import workers
from tests.processes import Forked
from tests.search.small import SMALL, Runs, recipe, recorded


def search(*words: str) -> int:
    """Give the command."""
    from regexp.commands.search import search as command

    return command(words)


def test_garbage_is_collected_where_a_search_trains(mlruns: Path) -> None:
    from regexp.search.shared import Shared
    from regexp.tracking import Tracker

    before = gc.get_threshold()
    try:
        collector.spare_imports()  # as the command does first of all
        with Tracker(None, "search", mlruns) as tracker:
            assert Shared(OmegaConf.create(), tracker, "")([]) == []
        assert gc.get_threshold() == collector._DEFAULT
    finally:
        gc.set_threshold(*before)


def waits_in_its_first_batch(*arguments: str) -> int:
    """Search, but stop before the first batch trains until a signal comes."""
    from regexp.sweeps import job
    from regexp.sweeps.stacks import train_members as train

    def waiting(*given: Any) -> Any:
        monkeypatch.undo()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        print("waits", flush=True)
        signal.sigwait({signal.SIGALRM})
        return train(*given)

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(job, "train_members", waiting)
    return search(*arguments)


def tells_of_its_stacks(*arguments: str) -> int:
    """Search, with a line for each stack that was trained."""
    from regexp.sweeps import job
    from regexp.sweeps.stacks import train_members as train

    def telling(*given: Any) -> Any:
        results = train(*given)
        print("trained", flush=True)
        return results

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(job, "train_members", telling)
        return search(*arguments)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, mlruns: Path) -> tuple[str, Runs]:
    """The recipe of a search by one process, and its runs."""
    folder = tmp_path_factory.mktemp("alone")
    words = _words(folder, mlruns, "alone")
    assert Forked(search, *words).wait() == 0
    return recipe(folder), recorded(mlruns, "alone")


def _words(folder: Path, mlruns: Path, name: str) -> tuple[str, ...]:
    return (*SMALL, f"search.folder={folder}", f"paths.mlruns={mlruns}",
            f"tracking.experiment={name}", "reuse=false")  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGKILL])
def test_two_processes_train_what_one_does_also_where_one_is_killed(
    number: signal.Signals, alone: tuple[str, Runs], tmp_path: Path, mlruns: Path
) -> None:
    """The first leads, and stops in its batch; the second trains the other, and then that one."""
    pytest.importorskip("optuna", minversion="4")
    words = _words(tmp_path, mlruns, number.name)
    first = Forked(waits_in_its_first_batch, *words)
    assert "waits\n" in iter(first.output.readline, "")
    second = Forked(tells_of_its_stacks, *words)
    before = []
    while (line := second.output.readline()) != "trained\n":
        assert line
        before.append(line)
    assert "Another process searches the same: this one takes part.\n" in before
    os.kill(first.pid, number)
    killed = number == signal.SIGKILL
    assert first.end()[0] == (-number if killed else 0)
    status, printed = second.end()
    assert status == 0
    assert ("It has told what came of it." in printed) != killed
    assert ("The recipe: " in printed) == killed
    assert (recipe(tmp_path), recorded(mlruns, number.name)) == alone


def by_a_launcher(*arguments: str) -> int:
    """Search with a launcher whose processes are calls in this one, and tell of each stack."""
    from regexp.search import launched

    def launch(sweep: Any, function: Any, folder: Path, plans: Sequence[Path], start: Any) -> None:
        assert len(sweep.jobs) == len(plans) == 3
        for plan in plans:
            function(OmegaConf.create({"launch": {"plan": str(plan)}}))
            report = json.loads(plan.with_suffix(".json").read_text())
            print("reported", report["number"], report["reason"], flush=True)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(launched, "launch", launch)
        monkeypatch.setattr(launched, "start_importing", lambda *given: None)
        return tells_of_its_stacks(*arguments)


def test_what_a_launcher_starts_takes_part(
    alone: tuple[str, Runs], tmp_path: Path, mlruns: Path
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    words = _words(tmp_path, mlruns, "launched")
    given = ("hydra/launcher=joblib", "search.workers=3")
    status, printed = Forked(by_a_launcher, *words, *given).end()
    assert status == 0
    lines = [one for one in printed.splitlines() if one.startswith(("reported", "trained"))]
    assert lines[-3:] == ["reported 0 ", "reported 1 ", "reported 2 "]
    assert {*lines[:-3]} == {"trained"}
    assert (recipe(tmp_path), recorded(mlruns, "launched")) == alone


def fail() -> None:
    raise ValueError("such as it is\nand more")


def test_of_a_helper_that_fails_a_line_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with workers.helpers(1, fail):
        [process] = multiprocessing.active_children()
        process.join()
    assert capsys.readouterr().out == (
        "A worker stopped (ValueError: such as it is); the others did its part.\n"
    )


def stay(pipe: Path) -> None:
    """Keep a pipe open until the process ends."""
    with pipe.open("w") as opened:
        opened.write("here")
        opened.flush()
        signal.pause()


def helped(pipe: Path) -> None:
    """Do nothing beside a helper that stays."""
    with workers.helpers(1, stay, pipe):
        signal.pause()


def test_helpers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = Forked(helped, pipe)
    with pipe.open() as opened:
        assert opened.read(4) == "here"
        os.kill(process.pid, signal.SIGKILL)
        assert opened.read() == ""
    process.wait()


@pytest.mark.parametrize(
    ("asked", "cores", "expected"),
    [({}, 16, 2), ({}, 1, 1), ({"parallel": 4}, 6, 6), ({"parallel": 4}, 16, 8),
     ({"workers": 5}, 2, 5)],
)  # fmt: skip
def test_there_are_as_many_workers_as_a_round_can_use(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, int], cores: int, expected: int
) -> None:
    node = {"search": {"workers": None, "parallel": 1, **asked},
            "trainer": {"device": "cpu", "threads": 1}}  # fmt: skip
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    assert workers.workers_of(OmegaConf.create(node)) == 1  # the main module is pytest's
    monkeypatch.setattr(workers, "is_command", lambda: True)
    assert workers.workers_of(OmegaConf.create(node)) == expected
