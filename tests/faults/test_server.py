"""A sweep whose MLflow server goes away: what users see, and that nothing is lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regexp.sweeps.execute
import regexp.sweeps.present
from regexp.__main__ import run
from regexp.sweeps.resume import Resume
from regexp.tracking import Patience, Tracker, tracker
from tests.sandbox import SMALL
from tests.tracking.mlflow_server import Server

COMMAND = ("-m", "regularizer=none,l1", *SMALL, "trainer.epochs=4", "checkpoint.every=1")


@pytest.fixture
def server(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(empty_store, folder)
    server = Server(folder, monkeypatch)
    yield server
    server.stop()


@pytest.fixture
def arguments(server: Server, tmp_path: Path) -> list[str]:
    return [f"tracking.uri={server.uri}", f"paths.mlruns={tmp_path / 'mlruns'}",
            "tracking.experiment=lost", "figures=false"]  # fmt: skip


def lose(server: Server, patch: pytest.MonkeyPatch) -> None:
    """Lose the server after the second epoch of the first job."""
    whole = Resume.save
    lost: list[bool] = []

    def save(resume: Resume, epoch: int, content: Any) -> None:
        if epoch == 2 and not lost:
            lost.append(True)
            server.stop()
        whole(resume, epoch, content)

    patch.setattr(Resume, "save", save)


def recorded(arguments: list[str]) -> dict[str, list[Any]]:
    """Name of a run -> its status, and the steps of its curve in the order of their arrival."""
    uri, mlruns, experiment = (argument.partition("=")[2] for argument in arguments[:3])
    with Tracker(uri, experiment, mlruns) as opened:
        client = opened.client
        (parent,) = client.search_runs([opened.experiment_id], "tags.`sweep.key` != ''")
        assert parent.info.status == "FINISHED"
        assert float(parent.data.tags["wall_seconds"]) > 0
        return {
            str(one.name): [
                one.status,
                *(p.step for p in client.get_metric_history(one.run_id, NAME)),
            ]
            for one in opened.runs(parent.info.run_id).itertuples()
        }


@pytest.mark.slow
def test_another_machine_goes_on_from_the_checkpoint_that_the_server_has(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two folders for `paths.mlruns`, as two machines have that share the server alone."""
    epochs: list[int] = []
    whole = Resume.save

    def save(resume: Resume, epoch: int, content: Any) -> None:
        whole(resume, epoch, content)
        epochs.append(epoch)
        if epochs == [1, 2]:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Resume, "save", save)
    one = ("regularizer=ema", *SMALL, "trainer.epochs=6", "checkpoint.every=1h")
    with pytest.raises(SystemExit):
        run([*one, *arguments])
    assert epochs == [1, 2, 3], "the epoch that the signal came in"
    there = [argument.replace(f"{tmp_path}/mlruns", f"{tmp_path}/there") for argument in arguments]
    assert run([*one, *there]) == 0
    assert epochs[3:] == [4, 5]
    assert list(recorded(there).values()) == [["FINISHED", 1, 2, 3, 4, 5, 6]] * 2
    with Tracker(there[0].partition("=")[2], "lost", tmp_path / "there") as opened:
        runs = opened.client.search_runs([opened.experiment_id], "tags.fingerprint != ''")
        assert not [
            f for run in runs for f in opened.client.list_artifacts(run.info.run_id, "working")
        ]


NAME = "val/loss"
WHOLE = ["FINISHED", 1, 2, 3, 4]


def test_no_server_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uri = f"http://127.0.0.1:{port}"
    command = [*SMALL, f"tracking.uri={uri}", f"paths.mlruns={tmp_path / 'mlruns'}"]
    assert run(command) == 2
    printed = capsys.readouterr()
    assert "[1/1]" not in printed.out
    said = printed.err
    assert said.startswith(f"regexp: tracking.uri={uri}: no MLflow server answers there")
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_lost_for_a_while_the_next_job_waits_and_the_sweep_ends_well(
    server: Server,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def bring_back(seconds: float) -> None:
        if not server.running:
            server.start()

    with monkeypatch.context() as patch:
        lose(server, patch)
        patch.setattr(tracker, "Patience", lambda seconds: Patience(seconds, sleep=bring_back))
        assert run([*COMMAND, *arguments]) == 0
    printed = capsys.readouterr().out
    # "Connection refused", or whatever a request that was under way is told
    assert len(re.findall(r"The store of runs does not answer \(.+?\)\. What is", printed)) == 1
    assert printed.count("Waiting for it, at most 600 s (tracking.wait).") == 1
    assert printed.count("The store of runs answers again.") == 1
    assert "vs none" in printed, "the table"
    assert list(recorded(arguments).values()) == [WHOLE] * 4


def test_lost_for_good_the_end_is_told_and_the_command_that_delivers_works(
    server: Server,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = (COMMAND[0], "regularizer=none", *COMMAND[2:])
    with monkeypatch.context() as patch:
        lose(server, patch)
        assert run([*one, *arguments]) == 1
    printed = capsys.readouterr()
    assert "[1/1] none: test accuracy" in printed.out
    assert "The runs cannot be compared now: Connection refused." in printed.out
    assert "Waiting for it" not in printed.out, "what can be done later waits for no store"
    *_, last = [line for line in printed.out.splitlines() if "regexp deliver" in line]
    assert last.split()[2:] == arguments[:2]
    assert "Traceback" not in printed.out + printed.err

    server.start()
    assert run(last.split()[1:]) == 0
    assert "Delivered what waited of 3 runs" in capsys.readouterr().out
    assert list(recorded(arguments).values()) == [WHOLE] * 2


def test_a_job_that_waited_in_vain_fails_and_is_done_by_the_same_command(
    server: Server,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patch:
        lose(server, patch)
        assert run([*COMMAND, *arguments, "tracking.wait=0.01"]) == 1
    printed = capsys.readouterr().out
    assert "l1: the store of runs did not answer for 0.01 s" in printed.partition("1 failed")[2]

    server.start()
    assert run([*COMMAND, *arguments]) == 0
    printed = capsys.readouterr().out
    assert "[1/2] none: finished before" in printed
    assert list(recorded(arguments).values()) == [WHOLE] * 4


def test_a_comparison_that_cannot_be_kept_costs_no_run(
    server: Server,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The server goes away between the last run and the table."""
    present = regexp.sweeps.present.present_once

    def lost(*args: Any) -> None:
        server.stop()
        present(*args)

    with monkeypatch.context() as patch:
        patch.setattr(regexp.sweeps.execute, "present_once", lost)
        assert run([*COMMAND, *arguments]) == 1
    assert "The runs cannot be compared now" in capsys.readouterr().out
    server.start()
    assert run([*COMMAND, *arguments]) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 2
    assert "vs none" in printed
    assert list(recorded(arguments).values()) == [WHOLE] * 4
