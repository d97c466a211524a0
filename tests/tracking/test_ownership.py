"""A sweep that two processes work on is one's, who alone says how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from regexp.tracking import Tracker, claims, delivery, process, query, store
from regexp.tracking.lease import Leases


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
        late = delivery.status("FINISHED", 7) | {"owner": "elsewhere 1 {}"}
        surely.add(first)
        for run_id in (first, second):
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
