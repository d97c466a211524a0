"""Signals that wait for a place where the work can be left, and those that others wait for."""

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import (
    Terminated,
    Tracker,
    held_back,
    interruptible,
    pending,
    signals,
)
from tests.tracking.runs import start


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.fixture
def requeued() -> Iterator[list[int]]:
    """What a launcher's own handler of SIGUSR2 was told of."""
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    yield seen
    signal.signal(signal.SIGUSR2, before)


def ended_by(work: Callable[[], Any]) -> BaseException:
    """What ends some work that signals may interrupt."""
    with pytest.raises((Terminated, KeyboardInterrupt)) as ended, interruptible():
        work()
    return ended.value


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_waits_for_a_place_where_the_work_can_be_left(number: signal.Signals) -> None:
    reached: list[Terminated | None] = []

    def work() -> None:
        with held_back():
            reached.append(pending())
            send(number)
            reached.append(pending())
            assert reached[1] is not None
            raise reached[1]

    ended = ended_by(work)
    assert reached == [None, ended]
    assert ended.args == (128 + number,)
    assert pending() is None


def test_it_waits_for_the_end_of_the_block_at_most() -> None:
    reached = []

    def work() -> None:
        with held_back():
            send(signal.SIGTERM)
            reached.append("the end")
        reached.append("what follows")

    assert isinstance(ended_by(work), Terminated)
    assert reached == ["the end"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_does_not_wait_for_long_and_ctrl_c_not_at_all(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setattr(signals, "GRACE", 1e-3 if number == signal.SIGTERM else 1e9)

    def work() -> None:
        with held_back():
            send(number)
            while True:
                signal.pause()

    assert isinstance(ended_by(work), Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_warning_waits_longer_but_where_sigterm_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "GRACE", 1e-3)
    left = []

    def work() -> None:
        with held_back():
            send(signal.SIGUSR1)
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])
            send(signal.SIGUSR2)
            left.append(signal.getitimer(signal.ITIMER_REAL)[0])
            send(signal.SIGTERM)
            while True:
                signal.pause()

    ended = ended_by(work)
    assert isinstance(ended, Terminated)
    assert ended.signal == signal.SIGUSR1
    assert min(left) > signals.WARNED - 30
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_has_to_be_done_before_is_done_once_whatever_signals_follow(
    number: signal.Signals,
) -> None:
    done: list[str] = []

    def last() -> None:
        send(signal.SIGTERM)
        done.append("last")

    def work() -> None:
        with signals.before_ending(last), signals.before_ending(lambda: done.append("first")):
            try:
                send(number)
            finally:
                send(signal.SIGTERM)
                done.append("clean-up")

    assert isinstance(ended_by(work), Terminated if number == signal.SIGTERM else KeyboardInterrupt)
    assert done == ["first", "last", "clean-up"]
    assert isinstance(ended_by(lambda: send(number)), Terminated | KeyboardInterrupt)
    assert len(done) == 3


def test_a_second_ctrl_c_ends_nothing_and_a_third_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def leave(status: int) -> None:
        raise SystemExit(status)

    told: list[str] = []

    def press() -> None:
        with interruptible(), monkeypatch.context() as patch:
            patch.setattr(os, "_exit", leave)
            try:
                send(signal.SIGINT)
            except KeyboardInterrupt:
                send(signal.SIGINT)
                told.append(capfd.readouterr().err)
                send(signal.SIGINT)

    with pytest.raises(SystemExit) as left:
        press()
    assert told == ["Ending ... Ctrl-C once more gives up what is not recorded yet.\n"]
    assert left.value.code == 130
    assert capfd.readouterr().err == ""


def test_another_process_is_not_asked_to_end_where_this_one_is() -> None:
    heard = pickle.loads(pickle.dumps(Terminated(signal.SIGTERM)))
    assert isinstance(heard, Exception)
    assert str(heard) == "ended by SIGTERM"


def test_what_a_launcher_does_at_a_signal_comes_when_all_is_recorded(
    fresh_store: Path, requeued: list[int]
) -> None:
    runs = []

    def work() -> None:
        with Tracker(None, "regexp", fresh_store) as tracker:
            sweep = tracker.sweep("key", "name", {})
            runs.append(start(tracker, sweep.id).id)
            send(signal.SIGUSR2)

    ended_by(work)
    assert requeued == [signal.SIGUSR2]
    with Tracker(None, "regexp", fresh_store) as tracker:
        run = tracker.client.get_run(runs[0])
        assert run.info.status == "SCHEDULED"
        assert run.data.tags["reason"] == "requeued by SIGUSR2"
        again = tracker.sweep("key", "name", {})
        assert tracker.client.get_run(again.id).info.status == "RUNNING"
        again.finish()
