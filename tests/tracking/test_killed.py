"""Processes that are ended from outside leave no run RUNNING."""

import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import Tracker, interruptible
from regexp.tracking.outbox import Outbox, Send
from regexp.tracking.spool import Record, Spool
from tests.processes import Forked
from tests.tracking.runs import curve, start


def record_until_a_signal(folder: Path) -> None:
    """Record a run that does not end."""
    with interruptible(), Tracker(None, "regexp", folder) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = tracker.start(
            sweep.id, name="l1", fingerprint="f", params={}, artifacts={},
            tags={"technique": "l1", "seed": 0}, dataset={"name": "digits"},
        )  # fmt: skip
        record.metrics({"val/loss": 1.0}, 1)
        tracker.runs(sweep.id)
        record.metrics({"val/loss": 2.0}, 2)
        print(sweep.id, record.id, flush=True)
        signal.pause()


def end(folder: Path, number: signal.Signals) -> tuple[str, str, int]:
    """Start a process that records a run, end it by a signal; (sweep, run, exit status)."""
    child = Forked(record_until_a_signal, folder)
    sweep, run = child.output.readline().split()
    os.kill(child.pid, number)
    return sweep, run, child.wait()


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGUSR1, 138, "ended by SIGUSR1"),
        (signal.SIGUSR2, 140, "ended by SIGUSR2"),
        (signal.SIGINT, 1, "interrupted from the keyboard (Ctrl-C)"),
    ],
)
def test_signal_marks_runs_as_killed_and_sends_what_is_queued(
    fresh_store: Path, number: signal.Signals, code: int, reason: str
) -> None:
    sweep, run, returned = end(fresh_store, number)
    assert returned == code
    with Tracker(None, "regexp", fresh_store) as tracker:
        for run_id in (sweep, run):
            stored = tracker.client.get_run(run_id)
            assert stored.info.status == "KILLED"
            assert stored.data.tags["reason"] == reason
        assert curve(tracker, run, "val/loss") == [(1, 1.0), (2, 2.0)]


def test_runs_of_a_process_that_was_killed_are_found_by_the_next(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as living:
        own = living.sweep("own", "own", {})
        alive = start(living, own.id)
        sweep, run, _ = end(fresh_store, signal.SIGKILL)
        assert living.client.get_run(run).info.status == "RUNNING"
        with Tracker(None, "another experiment", fresh_store) as tracker:
            for run_id in (sweep, run):
                stored = tracker.client.get_run(run_id)
                assert stored.info.status == "FAILED"
                assert stored.data.tags["reason"] == "its process ended without saying why"
            assert tracker.client.get_run(alive.id).info.status == "RUNNING"
            assert tracker.client.get_run(own.id).info.status == "RUNNING"
        alive.finish()
        own.finish()
        again = living.sweep("key", "name", {})
        assert again.id == sweep
        again.finish()


class Killed(Outbox):
    """It sends the first few records that it is given, and loses those that follow."""

    def __init__(self, send: Send, spool: Spool, **_: object) -> None:
        super().__init__(send, spool, interval=None)
        self.left = math.inf

    def put(self, run_id: str, record: Record) -> None:
        self.left -= 1
        if self.left >= 0:
            super().put(run_id, record)


@pytest.mark.parametrize("delivered", range(8))
def test_what_a_kill_took_from_the_queue_is_recorded_by_the_next(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch, delivered: int
) -> None:
    outboxes: list[Killed] = []

    def made(send: Send, spool: Spool, **_: object) -> Killed:
        outboxes.append(Killed(send, spool))
        return outboxes[0]

    def complete(run_id: str) -> tuple[Any, ...]:
        outboxes[0].drain()
        run = tracker.client.get_run(run_id)
        files = {file.path for file in tracker.client.list_artifacts(run_id)}
        used = [one.dataset.digest for one in run.inputs.dataset_inputs]
        return run.data.params, used, files - {"code.diff"}

    monkeypatch.setattr("regexp.tracking.tracker.Outbox", made)
    with Tracker(None, "regexp", fresh_store) as tracker:
        [outbox] = outboxes
        outbox.left = delivered
        sweep = tracker.sweep("key", "name", {"seeds": 2, "model": {"hidden": [3]}})
        outbox.drain()
        outbox.left = math.inf
        again = tracker.sweep("key", "name", {"seeds": 2, "model": {"hidden": [3]}})
        params = {"seeds": "2", "model.hidden": "[3]"}
        assert complete(again.id) == (params, [], {"sweep.yaml"})

        outbox.left = delivered
        run = start(tracker, sweep.id)
        outbox.drain()
        outbox.left = math.inf
        resumed = start(tracker, sweep.id, resume=run.id)
        assert resumed.id == run.id
        params = {"model.hidden": "[64, 64]"}
        files = {"config.yaml", "environment.json"}
        assert complete(run.id) == (params, [("ab" * 32)[:36]], files)
