"""A sweep that two processes work on is one's, who alone says how it ends."""

from __future__ import annotations

import json
import socket
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import TakenError, Tracker, claims, deliver, delivery, process, query, store
from regexp.tracking.lease import EXPIRY, Leases
from regexp.tracking.outbox import OthersError
from regexp.tracking.spool import Spool
from tests.tracking.fakes import Clock
from tests.tracking.runs import curve, start


def test_the_second_ends_nothing_and_owns_it_when_the_first_has_gone(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as second:
        with Tracker(None, "regexp", fresh_store) as first:
            ours = first.sweep("key", "sweep", {"seeds": 2})
            theirs = second.sweep("key", "sweep", {"seeds": 3})
            assert (ours.owned, theirs.owned, theirs.id) == (True, False, ours.id)
            theirs.finish("KILLED", "Ctrl-C")
            run = first.client.get_run(ours.id)
            assert run.info.status == "RUNNING"
            ours.finish("FAILED")
        run = second.client.get_run(ours.id)
        assert (run.info.status, run.data.params) == ("FAILED", {"seeds": "2"})
        again = second.sweep("key", "sweep", {"seeds": 2})
        second.own(again, lambda who: None)
        assert again.owned
        again.finish()
        assert second.client.get_run(ours.id).info.status == "FINISHED"


def test_of_two_that_begin_at_once_one_says_what_it_is(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second finds the sweep, and owns it, before the first has come to that."""
    first, second = (Tracker(None, "regexp", fresh_store) for _ in range(2))
    find, theirs = first._find_or_create, []

    def slowly(*given: Any, **named: Any) -> Any:
        found = find(*given, **named)
        theirs.append(second.sweep("key", "sweep", {"command": "there"}))
        return found

    monkeypatch.setattr(first, "_find_or_create", slowly)
    ours = first.sweep("key", "sweep", {"command": "here"})
    assert (ours.owned, theirs[0].owned, theirs[0].id) == (False, True, ours.id)
    theirs[0].finish()
    for tracker in (second, first):
        tracker.close()
        assert tracker.left.nothing
    assert first.client.get_run(ours.id).data.params == {"command": "there"}


def test_one_that_waits_says_so_and_owns_it_in_its_turn(fresh_store: Path) -> None:
    told: list[str] = []
    first = Tracker(None, "regexp", fresh_store)
    with Tracker(None, "regexp", fresh_store) as second:
        first.sweep("key", "sweep", {}).finish("FAILED")
        theirs = second.sweep("key", "sweep", {})

        def waits(who: str) -> None:
            told.append(who)
            first.close()

        second.own(theirs, waits)
        assert told == ["another process"]
        theirs.finish()
        assert second.client.get_run(theirs.id).info.status == "FINISHED"


def test_a_status_that_arrives_when_another_has_gone_on_is_none(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        run = tracker.sweep("key", "sweep", {})
        late = delivery.status("KILLED", 7) | {"owner": "elsewhere 1 {}"}
        assert process.identity(process.tags()) == delivery.status("KILLED", 7)["owner"]
        with pytest.raises(OthersError):
            delivery.sender(tracker.client)(run.id, [late])
        assert tracker.client.get_run(run.id).info.status == "RUNNING"
        delivery.sender(tracker.client)(run.id, [delivery.status("FINISHED", 7)])
        assert tracker.client.get_run(run.id).info.status == "FINISHED"
        assert query.reap(tracker.client) == []


def test_whose_a_run_is_is_asked_unless_it_is_surely_ones_own(fresh_store: Path) -> None:
    """Of a run that is recorded under a lease, which another cannot have taken over."""
    surely: set[str] = set()
    with Tracker(None, "regexp", fresh_store) as tracker:
        first, second = (tracker.sweep(key, key, {}).id for key in ("first", "second"))
        late = delivery.status("FINISHED", 7)
        surely.add(first)
        for run_id in (first, second):
            tracker.client.set_tag(run_id, "host", "elsewhere")
            with nullcontext() if run_id == first else pytest.raises(OthersError):
                delivery.sender(tracker.client, sure=surely.__contains__)(run_id, [late])
        found = [tracker.client.get_run(run_id).info.status for run_id in (first, second)]
        assert found == ["FINISHED", "RUNNING"]


def test_a_run_is_covered_by_the_innermost_lease_as_long_as_that_is_held(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = store.open_client(store.resolve(None, fresh_store), fresh_store)
    held: list[object] = []
    monkeypatch.setattr(claims, "leases_of", lambda *arguments: Leases(client, heartbeat=None))
    one = claims.Claims(client, "", fresh_store, lambda asked: asked())
    one.cover("before")
    with one.alone("sweep", None), one.alone("job", None):
        one.cover("run")
        held.append(one.sure("run"))
    with one.alone("another", None):
        held.append(one.sure("run"))
    assert held == [True, False]
    assert not one.sure("before")
    one.close()


def test_who_has_ended_a_sweep_takes_away_what_dead_processes_have_left(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "leases_of", lambda client, *_: Leases(client, heartbeat=None))
    this = process.tags()
    with Tracker(None, "regexp", fresh_store) as reader:
        with monkeypatch.context() as patch:
            patch.setattr(process, "tags", lambda: this | {"pid": str(2**22 + 1)})
            assert Leases(reader.client, heartbeat=None).take("job")
        with Tracker(None, "regexp", fresh_store) as job, job.alone("another job", None):
            pass
        assert len(reader.client.search_registered_models()) == 1
        with Tracker(None, "regexp", fresh_store) as command:
            command.sweep("key", "sweep", {}).finish()
        assert len(reader.client.search_registered_models()) == 0


def test_one_whose_run_was_taken_over_records_no_more_of_it(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a laptop that wakes: what it trained meanwhile is the other's."""
    clock = Clock()
    leases = lambda client, *_: Leases(client, clock=clock, heartbeat=None)
    monkeypatch.setattr(claims, "leases_of", leases)
    with Tracker(None, "regexp", fresh_store) as first, Tracker(None, "regexp", fresh_store) as two:
        sweep = first.sweep("key", "sweep", {})
        with first.alone("job", None):
            ours = start(first, sweep.id)
            ours.metrics({"loss": 1.0}, 1)
            before = ours.lost
            first._outbox.drain()
            for _ in range(3):
                with pytest.raises(TakenError), two.alone("job", None):
                    pass
                clock.now += EXPIRY / 2
            with two.alone("job", None):
                theirs = start(two, sweep.id, resume=ours.id)
                ours.metrics({"loss": 7.0}, 2)
                ours.tags({"late": True})
                first._outbox.drain()
                assert (before, ours.lost) == (False, True)
                ours.finish("KILLED", "it woke")
                theirs.metrics({"loss": 2.0}, 2)
                theirs.finish()
        run = two.client.get_run(ours.id)
        assert run.info.status == "FINISHED"
        assert not {"late", "reason"} & run.data.tags.keys()
        history = two.client.get_metric_history(ours.id, "loss")
        assert [(point.step, point.value) for point in history] == [(1, 1.0), (2, 2.0)]


def test_a_machine_that_gets_another_name_still_records_its_runs(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a laptop's when its network changes."""
    with Tracker(None, "regexp", fresh_store) as tracker:
        run = start(tracker, tracker.sweep("key", "sweep", {}).id)
        monkeypatch.setattr(socket, "gethostname", lambda: "renamed")
        run.metrics({"loss": 1.0}, 1)
        run.finish()
    assert tracker.left.nothing
    assert tracker.client.get_run(run.id).info.status == "FINISHED"


def test_what_waits_on_disk_of_a_run_that_is_anothers_now_is_left_out(
    fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "sweep", {})
        runs = [start(tracker, sweep.id, fingerprint=name) for name in ("theirs", "ours")]
        for run in runs:
            spool = Spool(fresh_store / "undelivered", "mlflow.db")
            late = [delivery.metric("loss", 7.0, 2, 1000), delivery.tag("late", "yes")]
            spool.append(run.id, [*late, delivery.tag("member", "yes") | delivery.ANYBODY])
            spool.release()
        tracker._outbox.drain()
        elsewhere = json.dumps({"machine": "", "boot": "", "start": "1"})
        tracker.client.set_tag(runs[0].id, "process", elsewhere)
        assert deliver(None, fresh_store) == 0
        printed = capsys.readouterr().out
        assert "Delivered what waited of 1 run to" in printed
        assert f"Run {runs[0].id} was taken over by another process" in printed
        assert "2 records of this one are left out" in printed
        theirs, ours = (tracker.client.get_run(run.id).data for run in runs)
        assert "loss" not in theirs.metrics
        assert curve(tracker, runs[1].id, "loss") == [(2, 7.0)]
        assert [data.tags.get("late") for data in (theirs, ours)] == [None, "yes"]
        assert [data.tags.get("member") for data in (theirs, ours)] == ["yes", "yes"]
