"""The clock is set back: what depends on the time of day stays right."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from regexp.tracking import Tracker, now
from tests.tracking.runs import curve, start, tries

HOUR = 3600.0


class Clock:
    """The time of day, ahead of the true one by so many seconds."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._true = time.time

    def __call__(self) -> float:
        return self._true() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.time", clock)
    monkeypatch.setattr("regexp.tracking.record._last", 0)  # and is put back: others need the time
    return clock


def test_now_never_goes_back(clock: Clock) -> None:
    first = now()
    clock.ahead = -HOUR
    assert now() >= first


def test_between_the_writes_of_a_process(fresh_store: Path, clock: Clock) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        first = start(tracker, sweep.id, fingerprint="first")
        for step in range(1, 5):
            first.metrics({"val/loss": 1 / step}, step)
            clock.ahead -= HOUR
        first.summary({"seconds": 9.0})
        first.finish()
        second = start(tracker, sweep.id, fingerprint="second")
        second.finish()
        sweep.finish()
        assert [step for step, _ in curve(tracker, first.id, "val/loss")] == [1, 2, 3, 4]
        runs = tracker.runs(sweep.id)
        assert runs["metrics.val/loss"].iloc[0] == 0.25, "the latest epoch is shown"
        assert runs["run_id"].tolist() == [first.id, second.id], "oldest first"
        for run_id in (first.id, sweep.id):
            info = tracker.client.get_run(run_id).info
            assert info.end_time >= info.start_time


def test_between_two_processes(
    fresh_store: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second goes on with the sweep and the run of the first, and delivers what it left."""
    clock.ahead = 5 * HOUR
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        record.metrics({"val/loss": 1.0}, 1)
        tracker.runs(sweep.id)

        def gone(*args: object, **named: object) -> None:
            raise ConnectionError

        monkeypatch.setattr(tracker.client, "log_batch", gone)
        record.metrics({"val/loss": 0.5}, 2)
        record.finish("KILLED")
        sweep.finish("KILLED")
    assert record.id in tracker.left.waiting

    clock.ahead = 0.0
    monkeypatch.setattr("regexp.tracking.record._last", 0)  # another process knows nothing of it
    with Tracker(None, "regexp", fresh_store) as later:
        assert later.sweep("key", "name", {}).id == sweep.id, "the parent is found again"
        earlier = tries(later, sweep.id)["f0"]
        assert (earlier.id, earlier.status) == (record.id, "KILLED")
        again = start(later, sweep.id, resume=earlier.id)
        for step in (1, 2, 3):
            again.metrics({"val/loss": 1 / step}, step)
        again.finish()
        assert curve(later, record.id, "val/loss") == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
        assert later.runs(sweep.id)["metrics.val/loss"].tolist() == [1 / 3]
        assert tries(later, sweep.id)["f0"].status == "FINISHED"
