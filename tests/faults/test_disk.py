"""The disk is full: nothing is lost that something takes, and what is lost is said."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from regexp.__main__ import run
from regexp.sweeps.resume import Resume
from regexp.tracking.spool import Spool
from regexp.training import checkpoint
from tests.sandbox import SMALL, Sandbox
from tests.tracking.runs import curve

COMMAND = (
    "-m",
    "regularizer=none,l1",
    *SMALL,
    "trainer.epochs=4",
    "checkpoint.every=1",
    "tracking.wait=0",
)


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def full_database() -> Iterator[None]:
    """The database cannot grow: SQLite's own limit says what it says on a full disk."""
    limited: list[sqlite3.Connection] = []

    def limit(connection: Any, *_: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")
            limited.append(connection)

    event.listen(Engine, "checkout", limit)
    try:
        yield
    finally:
        event.remove(Engine, "checkout", limit)
        for connection in limited:  # they are used again
            connection.execute("PRAGMA max_page_count=1073741823")


def at_epoch(patch: pytest.MonkeyPatch, epoch: int, act: Callable[[], None]) -> None:
    """Do something once, after an epoch of the first job that is trained."""
    whole = Resume.save
    done: list[bool] = []

    def save(resume: Resume, at: int, content: Any) -> None:
        if at == epoch and not done:
            done.append(True)
            act()
        whole(resume, at, content)

    patch.setattr(Resume, "save", save)


def results(sandbox: Sandbox) -> list[tuple[Any, ...]]:
    """What the runs came to, in the order of their names."""
    found = sandbox.children().sort_values("name")
    assert list(found["status"]) == ["FINISHED"] * 4
    with sandbox.tracker() as tracker:
        histories = [curve(tracker, run_id, "val/loss") for run_id in found["run_id"]]
    return list(zip(found["name"], found["metrics.test/loss"], histories, strict=True))


@pytest.fixture(scope="module")
def expected(mlruns: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """What the command comes to without a fault."""
    sandbox = Sandbox(tmp_path_factory.mktemp("undisturbed"), mlruns, "undisturbed")
    with chdir(sandbox.folder):
        assert sandbox.run(*COMMAND) == 0
    return results(sandbox)


def test_a_checkpoint_that_cannot_be_written_does_not_stop_training(
    sandbox: Sandbox, expected: Any, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        save = checkpoint.save

        def fails(path: Path, content: dict[str, Any]) -> None:
            if "training" not in content:
                save(path, content)
                return
            # what torch does when its writer fails in the middle
            patch.setattr("torch.save", lambda content, file: full(file.write(b"PK half of it")))
            try:
                save(path, content)
            finally:
                patch.undo()
                patch.setattr(checkpoint, "save", fails)

        patch.setattr(checkpoint, "save", fails)
        assert sandbox.run(*COMMAND) == 0
    told = capfd.readouterr()
    assert told.out.count("A checkpoint cannot be written") == 2, "once a stack"
    assert "Traceback" not in told.out + told.err
    assert not list((sandbox.store / "checkpoints").rglob("*.partial"))
    assert results(sandbox) == expected


def test_checkpoints_that_cannot_be_stored_fail_their_runs_alone(
    sandbox: Sandbox, expected: Any, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Neither MLflow's folder nor ours takes the files of the first job's first run."""
    copies = {name: getattr(shutil, name) for name in ("copy2", "copyfileobj")}
    broken: list[str] = []

    def copier(name: str) -> Callable[..., Any]:
        def copy(source: Any, target: Any, *others: Any, **named: Any) -> Any:
            if str(getattr(source, "name", source)).endswith(".pt") and name not in broken:
                broken.append(name)
                if name == "copyfileobj":
                    target.write(b"half")
                else:
                    Path(target).write_bytes(b"half")
                full()
            return copies[name](source, target, *others, **named)

        return copy

    with monkeypatch.context() as patch:
        for name in copies:
            patch.setattr(shutil, name, copier(name))
        assert sandbox.run(*COMMAND) == 1
    told = capfd.readouterr()
    assert broken == ["copyfileobj", "copy2"], "of MLflow, then ours"
    reason = "what it ended with cannot be stored: [Errno 28] No space left on device"
    assert reason in told.out.partition("1 failed")[2]
    assert "Traceback" not in told.out + told.err
    runs = sandbox.children()
    assert sorted(runs["status"]) == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]
    assert list(runs[runs["status"] == "FAILED"]["reason"]) == [reason]
    # not the database too: to close a file takes this process's locks on it away
    stored = [one for one in sandbox.store.rglob("*") if one.is_file() and one.stat().st_size == 4]
    assert not [one for one in stored if one.read_bytes() == b"half"]

    assert sandbox.run(*COMMAND) == 0
    assert results(sandbox) == expected


def test_metrics_wait_on_disk_while_the_database_is_full(
    sandbox: Sandbox, expected: Any, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    one = (COMMAND[0], "regularizer=none", *COMMAND[2:])
    with monkeypatch.context() as patch, full_database_at(patch, 2):
        assert sandbox.run(*one) == 1
    told = capfd.readouterr()
    assert "The store of runs does not answer (database or disk is full, SQLITE_FULL)" in told.out
    assert "[1/1] none: test accuracy" in told.out
    assert f"\n  regexp deliver paths.mlruns={sandbox.store}" in told.out
    assert "Traceback" not in told.out + told.err

    assert run(["deliver", *sandbox.arguments[:2]]) == 0
    assert "Delivered what waited of " in capfd.readouterr().out
    found = sandbox.children().sort_values("name")
    assert list(found["status"]) == ["FINISHED"] * 2
    with sandbox.tracker() as tracker:
        for run_id, (_, loss, history) in zip(found["run_id"], expected[2:], strict=True):
            assert curve(tracker, run_id, "val/loss") == history
            assert tracker.client.get_run(run_id).data.metrics["test/loss"] == loss


@contextmanager
def full_database_at(patch: pytest.MonkeyPatch, epoch: int) -> Iterator[None]:
    """The database is full from an epoch of the first job on."""
    limit = full_database()
    at_epoch(patch, epoch, limit.__enter__)
    try:
        yield
    finally:
        limit.__exit__(None, None, None)


def test_what_neither_store_nor_disk_takes_is_counted_and_done_again(
    sandbox: Sandbox, expected: Any, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with monkeypatch.context() as patch, full_database_at(patch, 2):
        patch.setattr(Spool, "append", full)
        assert sandbox.run(*COMMAND) == 1
    told = capfd.readouterr()
    assert told.out.count("Neither the store of runs nor the disk takes what is recorded") == 1
    lost = [line for line in told.out.splitlines() if "records are lost" in line]
    assert len(lost) == 1
    assert "No space left on device" in lost[0]
    assert "give the same command again" in lost[0]
    assert "Traceback" not in told.out + told.err

    assert sandbox.run(*COMMAND) == 0
    assert results(sandbox) == expected


def test_a_log_that_cannot_be_written_prints_no_traceback(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def emit(handler: logging.FileHandler, record: logging.LogRecord) -> None:
        try:
            full()
        except OSError:
            handler.handleError(record)

    monkeypatch.setattr(logging, "raiseExceptions", True)
    monkeypatch.setattr(logging.FileHandler, "emit", emit)
    monkeypatch.setattr(checkpoint, "save", full)
    assert sandbox.run("checkpoint.every=1", *SMALL) == 1
    told = capfd.readouterr()
    assert "A checkpoint cannot be written" in told.out
    assert "Traceback" not in told.out + told.err


def test_a_disk_that_fails_at_the_comparison_costs_no_run_and_is_told(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["-m", "regularizer=none,l1", *SMALL]
    with monkeypatch.context() as patch:
        patch.setattr("regexp.sweeps.execute.present_once", full)
        assert sandbox.run(*command) == 1
    assert "The runs cannot be compared now: [Errno 28]" in capsys.readouterr().out
    assert sandbox.run(*command) == 0
    printed = capsys.readouterr().out
    assert printed.count("finished before") == 2
    assert "vs none" in printed
