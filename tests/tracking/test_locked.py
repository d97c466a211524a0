"""The database is locked: by other writers for a moment, or by somebody who does not let go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import Tracker, TrackingError, deliver
from tests.processes import CONTEXT, Forked
from tests.tracking.runs import curve, start, tries

POINTS = 300
WRITERS = 4


def write(folder: Path, sweep_id: str, name: str, go: Event) -> None:
    """Record a run; tell how far it is."""
    with Tracker(None, "regexp", folder) as tracker:
        record = tracker.start(
            sweep_id, name=name, fingerprint=name, params={"model": "mlp"},
            artifacts={"a.txt": "a"}, tags={"technique": "l1", "seed": 0},
            dataset={"name": "digits"},
        )  # fmt: skip
        print("ready", flush=True)
        go.wait()
        for step in range(POINTS):
            record.metrics({"val/loss": float(step), "lr": 0.1}, step)
        print("recorded", flush=True)
        record.finish()
    print(tracker.left.nothing)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else writes into the store."""
    connection = sqlite3.connect(folder / "mlflow.db")
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()


@pytest.mark.slow
def test_writers_while_somebody_holds_the_lock_lose_nothing(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        go = CONTEXT.Event()
        writers = [
            Forked(write, fresh_store, sweep.id, f"run {number}", go) for number in range(WRITERS)
        ]

        def heard(word: str) -> None:
            for writer in writers:
                assert writer.output.readline() == f"{word}\n", writer.output.read()

        heard("ready")
        with locked(fresh_store):
            go.set()
            heard("recorded")  # they wait for the lock to send it
        heard("True")
        for writer in writers:
            assert writer.end() == (0, "")
        runs = tracker.runs(sweep.id)
        assert runs["status"].tolist() == ["FINISHED"] * WRITERS
        for run_id in runs["run_id"]:
            points = tracker.client.get_metric_history(run_id, "val/loss")
            assert [point.step for point in points] == list(range(POINTS))
        sweep.finish()


def test_a_lock_that_stays_is_outlived(fresh_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    from sqlalchemy import event

    def impatient(_: object, __: object, statement: str, parameters: object, *___: object) -> Any:
        return statement.replace("busy_timeout = 20000", "busy_timeout = 0"), parameters

    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        tracker.runs(sweep.id)
        engine = tracker.client._tracking_client.store.engine
        event.listen(engine, "before_cursor_execute", impatient, retval=True)
        with locked(fresh_store):
            record.metrics({"val/loss": 1.0}, 1)
            record.finish()
            with pytest.raises(TrackingError, match="database is locked"):
                start(tracker, sweep.id)
            sweep.finish()
            tracker.close()
        event.remove(engine, "before_cursor_execute", impatient)
    assert len(tracker.left.waiting) == 2
    assert "The store of runs does not answer (database is locked, SQLITE_BUSY)" in caplog.text
    assert deliver(None, fresh_store) == 0
    with Tracker(None, "regexp", fresh_store) as later:
        assert curve(later, record.id, "val/loss") == [(1, 1.0)]
        assert tries(later, sweep.id)["f0"].status == "FINISHED"


def test_a_full_database_loses_nothing(fresh_store: Path, caplog: pytest.LogCaptureFixture) -> None:
    """SQLite's own limit of pages: what it says is what it says on a full disk."""
    from sqlalchemy import event

    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        tracker.runs(sweep.id)
        engine = tracker.client._tracking_client.store.engine

        def limit(connection: sqlite3.Connection, *_: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        event.listen(engine, "connect", limit)
        engine.dispose()
        for step in range(1000):
            record.metrics({"val/loss": float(step)}, step)
        record.finish()
        sweep.finish()
        tracker.close()
        event.remove(engine, "connect", limit)
        engine.dispose()
    assert (
        "The store of runs does not answer (database or disk is full, SQLITE_FULL)" in caplog.text
    )
    assert "regexp deliver" in caplog.text
    assert deliver(None, fresh_store) == 0
    with Tracker(None, "regexp", fresh_store) as later:
        points = later.client.get_metric_history(record.id, "val/loss")
        assert [point.step for point in points] == list(range(1000))
        assert tries(later, sweep.id)["f0"].status == "FINISHED"
