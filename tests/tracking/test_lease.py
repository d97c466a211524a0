"""Leases: one holder at a time, whatever becomes of it; MLflow's registry in an SQLite file."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import process, store
from regexp.tracking.lease import EXPIRY, FORGOTTEN, Lease, Leases
from regexp.tracking.registry import PREFIX, successor
from tests.tracking.fakes import Clock

ELSEWHERE = {"host": "elsewhere", "pid": "7", "process": json.dumps({"machine": "", "boot": "",
             "start": "1"})}  # fmt: skip


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Any:
    folder = tmp_path_factory.mktemp("registry")
    shutil.copy(empty_store, folder)
    return store.open_client(store.resolve(None, folder), folder)


@pytest.fixture
def client(registry: Any) -> Iterator[Any]:
    yield registry
    for name in names(registry):
        registry.delete_registered_model(name)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def machine(client: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Leases]:
    """Makes the leases of machines that know nothing of each other's processes."""
    monkeypatch.setattr(process, "tags", lambda: ELSEWHERE)
    return lambda: Leases(client, clock=clock, heartbeat=None)


def names(client: Any) -> list[str]:
    return sorted(model.name for model in client.search_registered_models())


def away(*_: Any) -> Any:
    raise OSError("connection refused")


def taken(leases: Leases, name: str = "job") -> Lease:
    lease = leases.take(name)
    assert lease is not None
    return lease


def outwait(leases: Leases, clock: Clock) -> None:
    """Have someone look at a lease until it has all but expired."""
    for _ in range(3):
        assert leases.take("job") is None
        clock.now += EXPIRY / 2


def test_one_has_it_until_it_gives_it_back(machine: Callable[[], Leases], client: Any) -> None:
    first, second = machine(), machine()
    lease = first.take("job")
    assert lease is not None
    assert second.take("job") is None
    assert second.holder("job") == "process 7 on elsewhere"
    assert second.take("another") is not None
    first.release(lease)
    first.release(lease)
    assert second.holder("job") == ""
    assert second.take("job") is not None
    second.close()
    assert names(client) == []


def test_this_process_need_not_wait_for_what_it_gave_back_while_the_store_was_away(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = Leases(client, heartbeat=None)
    with monkeypatch.context() as patch:
        patch.setattr(client, "delete_registered_model", away)
        leases.release(taken(leases))
    assert names(client), "the store has heard nothing of it"
    assert Leases(client, heartbeat=None).take("job") is not None


def test_of_many_who_ask_at_once_one_gets_it(machine: Callable[[], Leases]) -> None:
    asked = [machine() for _ in range(6)]
    start = threading.Barrier(len(asked))
    got: list[bool] = []

    def ask(leases: Leases) -> None:
        start.wait()
        got.append(leases.take("job") is not None)

    threads = [threading.Thread(target=ask, args=(one,)) for one in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 5 + [True]


def test_one_that_lives_keeps_it_however_long(machine: Callable[[], Leases], clock: Clock) -> None:
    first, second = machine(), machine()
    assert first.take("job") is not None
    for _ in range(20):
        clock.now += EXPIRY / 4
        first.beat()
        assert second.take("job") is None


def test_what_expired_is_taken_by_one_and_its_holder_learns_of_it(
    machine: Callable[[], Leases], clock: Clock, client: Any
) -> None:
    dead, second, third = machine(), machine(), machine()
    lease = dead.take("job")
    assert lease is not None
    for one in (second, third):
        assert one.take("job") is None, "nobody knows how long nothing was heard"
    for _ in range(2):
        clock.now += EXPIRY / 2
        assert [one.take("job") for one in (second, third)] == [None, None]
    clock.now += 1
    taken = [one.take("job") for one in (second, third)]
    assert taken[0] is not None
    assert taken[1] is None
    dead.beat()
    assert lease.lost
    dead.release(lease)
    assert third.take("job") is None, "it was no longer the dead one's to give back"
    second.release(taken[0])
    assert names(client) == []
    assert third.take("job") is not None


def test_a_holder_is_sure_of_it_only_while_nobody_can_have_taken_it_over(
    machine: Callable[[], Leases], clock: Clock
) -> None:
    first, second = machine(), machine()
    lease = first.take("job")
    assert lease is not None
    outwait(second, clock)
    assert not first.sure(lease), "another is about to take it over"
    first.beat()
    assert first.sure(lease)
    first.release(lease)
    assert not first.sure(lease)
    assert not second.sure(lease)


def test_while_the_store_is_away_nothing_expires(
    machine: Callable[[], Leases], clock: Clock
) -> None:
    """Whoever asks first when it is back need not be the one that has the lease."""
    first, second = machine(), machine()
    lease = first.take("job")
    assert lease is not None
    assert second.take("job") is None
    clock.now += 100 * EXPIRY
    assert second.take("job") is None, "no sign of life could arrive"
    first.beat()
    assert not lease.lost
    for _ in range(3):
        clock.now += EXPIRY / 3
        first.beat()
        assert second.take("job") is None


def test_a_holder_that_was_asleep_and_is_the_first_to_wake_keeps_it(
    machine: Callable[[], Leases], clock: Clock, client: Any
) -> None:
    first, second = machine(), machine()
    lease = first.take("job")
    assert second.take("job") is None
    clock.now += EXPIRY + 1
    first.beat()
    assert lease is not None
    assert not lease.lost
    assert second.take("job") is None
    first.close()
    assert names(client) == []


def test_one_that_wakes_when_it_gives_it_back_gives_back_nothing_of_others(
    machine: Callable[[], Leases], clock: Clock
) -> None:
    first, second = machine(), machine()
    lease = first.take("job")
    assert lease is not None
    outwait(second, clock)
    assert second.take("job") is not None
    first.release(lease)
    assert machine().take("job") is None


def test_a_successor_of_what_was_given_back_meanwhile_is_none(
    machine: Callable[[], Leases], clock: Clock, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder wakes between the look of the one who takes over and its request."""
    first, second, third = machine(), machine(), machine()
    lease = first.take("job")
    outwait(second, clock)
    put = second._registry.put

    def late(chain: list[str], nonce: str) -> bool:
        if len(chain) > 1:
            first.close()
            assert third.take("job") is not None
        return put(chain, nonce)

    monkeypatch.setattr(second._registry, "put", late)
    assert second.take("job") is None
    assert lease is not None
    assert names(client) == [f"{PREFIX}-job"], "the third's alone"


def test_a_dead_process_of_this_machine_is_waited_for_no_longer(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = process.tags()
    monkeypatch.setattr(process, "tags", lambda: this | {"pid": str(2**22 + 1)})
    assert Leases(client, heartbeat=None).take("job") is not None
    monkeypatch.setattr(process, "tags", lambda: this)
    assert Leases(client, heartbeat=None).take("job") is not None


def test_a_lease_whose_answer_was_lost_is_had(
    machine: Callable[[], Leases], client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's client asks again where a connection breaks: its first request came through."""
    create = client.create_registered_model

    def twice(*arguments: Any) -> Any:
        create(*arguments)
        return create(*arguments)

    monkeypatch.setattr(client, "create_registered_model", twice)
    assert machine().take("job") is not None


@pytest.mark.parametrize("fails", ["create_registered_model", "get_registered_model"])
def test_a_process_whose_request_failed_does_not_wait_for_itself(
    machine: Callable[[], Leases],
    clock: Clock,
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
    fails: str,
) -> None:
    """What it asked for is there, but the answer, or that to its next question, never came."""
    first, second = machine(), machine()
    taken(first)
    outwait(second, clock)
    clock.now += EXPIRY / 2
    create = client.create_registered_model

    def breaks(*arguments: Any) -> Any:
        made = create(*arguments)
        patch.setattr(client, "get_registered_model", away)
        return made if fails == "get_registered_model" else away()

    with monkeypatch.context() as patch:
        patch.setattr(client, "create_registered_model", breaks)
        with pytest.raises(OSError, match="refused"):
            second.take("job")
    second.release(taken(second))
    assert names(client) == []


def test_one_that_wakes_when_another_has_had_it_and_given_it_back_has_lost_it(
    machine: Callable[[], Leases], clock: Clock, client: Any
) -> None:
    first, second = machine(), machine()
    lease = taken(first)
    outwait(second, clock)
    clock.now += EXPIRY
    second.release(taken(second))
    assert names(client) == []
    assert not first.has(lease)
    assert names(client) == []


@pytest.fixture
def left(client: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Lease]:
    """Leaves a lease of a process of this machine that has died."""
    this = process.tags()

    def leave(name: str = "job") -> Lease:
        with monkeypatch.context() as patch:
            patch.setattr(process, "tags", lambda: this | {"pid": str(2**22 + 1)})
            return taken(Leases(client, heartbeat=None), name)

    return leave


@pytest.fixture
def owner(client: Any) -> Leases:
    """Of a process that ends a sweep."""
    return Leases(client, heartbeat=None)


def test_what_a_dead_process_has_left_goes_with_the_end_of_a_sweep(
    left: Callable[..., Lease], client: Any
) -> None:
    for _ in range(3):  # each follows the one before
        left()
    left("another")
    assert len(names(client)) == 4
    Leases(client, heartbeat=None).close()
    assert len(names(client)) == 4, "a job looks for none"
    Leases(client, heartbeat=None).close(clear=True)
    assert names(client) == []


def test_so_does_what_one_has_left_that_died_as_it_gave_it_back(
    left: Callable[..., Lease], owner: Leases, client: Any
) -> None:
    """The first of the chain is gone, by which the others would be found."""
    for _ in range(2):
        left()
    client.delete_registered_model(f"{PREFIX}-job")
    owner.close(clear=True)
    assert names(client) == []


def test_it_goes_by_the_rule_that_one_takes_it_over(
    left: Callable[..., Lease],
    owner: Leases,
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else who takes it over at the same time would have what another can have too."""
    nonce = left().nonce
    other = Leases(client, heartbeat=None)
    put = owner._registry.put

    def late(chain: list[str], nonce: str) -> bool:
        taken(other)
        return put(chain, nonce)

    with monkeypatch.context() as patch:
        patch.setattr(owner._registry, "put", late)
        owner.close(clear=True)
    first = f"{PREFIX}-job"
    assert names(client) == [first, successor(first, nonce)]
    owner.close(clear=True)
    assert len(names(client)) == 2, "what a living one follows goes with that"


@pytest.mark.parametrize("days", [0.9, 1.1])
def test_what_another_machine_has_left_goes_after_a_day_by_the_clock_of_the_store(
    machine: Callable[[], Leases],
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
    days: float,
) -> None:
    taken(machine())
    later = int(1000 * (time.time() + FORGOTTEN * days))
    clock = "mlflow.store.model_registry.sqlalchemy_store.get_current_time_millis"
    monkeypatch.setattr(clock, lambda: later)
    owner = machine()
    taken(owner, "sweep")
    owner.close(clear=True)
    assert names(client) == ([] if days > 1 else [f"{PREFIX}-job"])


def test_what_could_not_be_given_back_goes_when_the_store_is_back(
    owner: Leases, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = taken(owner)
    with monkeypatch.context() as patch:
        patch.setattr(client, "delete_registered_model", away)
        owner.release(lease)
    owner.close()
    assert names(client) == []


def test_what_is_left_stays_while_the_store_is_away(
    left: Callable[..., Lease],
    owner: Leases,
    client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left()
    with monkeypatch.context() as patch:
        patch.setattr(client, "search_registered_models", away)
        owner.close(clear=True)
    assert names(client) == [f"{PREFIX}-job"]
