"""The outbox with a store that fails on command: order, batches, and that nothing is lost."""

import errno
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from regexp.tracking import delivery
from regexp.tracking.outbox import Left, OthersError, Outbox, rest
from regexp.tracking.spool import Record, Spool
from tests.tracking.fakes import Clock, Store, left_behind, put


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "undelivered", "mlflow.db")


@pytest.fixture
def outbox(store: Store, spool: Spool, clock: Clock) -> Iterator[Outbox]:
    outbox = Outbox(store, spool, interval=None, clock=clock)
    yield outbox
    outbox.close()


def test_order_is_kept_in_each_run(outbox: Outbox, store: Store) -> None:
    for step in range(5):
        put(outbox, range(step, step + 1), "a")
        put(outbox, range(step, step + 1), "b")
    outbox.drain()
    assert store.steps("a") == store.steps("b") == list(range(5))


def test_put_sends_nothing(outbox: Outbox, store: Store) -> None:
    put(outbox, range(10))
    assert store.calls == 0


def test_what_is_put_while_it_sends_waits_for_the_next_time(spool: Spool) -> None:
    sent: list[list[int]] = []

    def send(run_id: str, records: Sequence[Record], /) -> None:
        sent.append([record["step"] for record in records])
        if len(sent) < 3:  # training goes on meanwhile
            put(box, range(10 * len(sent), 10 * len(sent) + 3), run_id)

    box = Outbox(send, spool, interval=None)
    put(box, range(2))
    box.drain()
    assert sent == [[0, 1]]
    box.drain()
    assert box.close() == Left()
    assert sent == [[0, 1], [10, 11, 12], [20, 21, 22]]


def test_full_queue_wakes_the_thread(store: Store, spool: Spool) -> None:
    import threading

    sent = threading.Event()

    def send(run_id: str, records: Sequence[Record], /) -> None:
        store(run_id, records)
        sent.set()

    outbox = Outbox(send, spool, interval=3600)
    put(outbox, range(10_000))
    assert sent.wait(60)
    outbox.close()
    assert store.steps() == list(range(10_000))


@pytest.mark.parametrize(
    ("interval", "took", "seconds"),
    [(2.0, 0.1, 2.0), (2.0, 0.5, 4.5), (2.0, 60.0, 10.0), (10.0, 60.0, 10.0), (3600, 1.0, 3600)],
)
def test_deliveries_take_at_most_a_tenth_of_the_time(
    interval: float, took: float, seconds: float
) -> None:
    assert rest(interval, took) == seconds


def test_close_sends_what_is_queued(store: Store, spool: Spool) -> None:
    outbox = Outbox(store, spool, interval=None)
    put(outbox, range(3))
    assert outbox.close() == Left()
    assert store.steps() == [0, 1, 2]


def test_failure_keeps_records_on_disk_and_says_so_once(
    outbox: Outbox, store: Store, spool: Spool, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store.up = False
    put(outbox, range(3))
    outbox.drain()
    put(outbox, range(3, 5))
    clock.now = 31
    outbox.drain()
    assert [record["step"] for record in spool.read("run")] == list(range(5))
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING] == [
        "The store of runs does not answer (connection refused). What is recorded is kept in "
        f"{spool.folder} until it does, and training goes on."
    ]


def test_store_is_left_alone_for_a_while(outbox: Outbox, store: Store) -> None:
    store.up = False
    for run in range(32):
        put(outbox, range(1), f"run{run}")
    outbox.drain()
    assert store.calls == 1


def test_store_that_comes_back_gets_everything_in_order(
    outbox: Outbox, store: Store, spool: Spool, clock: Clock
) -> None:
    put(outbox, range(2))
    outbox.drain()
    store.up = False
    put(outbox, range(2, 4))
    outbox.drain()
    store.up = True
    put(outbox, range(4, 6))
    outbox.drain()
    assert store.steps() == [0, 1]  # still left alone; newer ones wait behind older ones
    clock.now = 31
    outbox.retry()
    put(outbox, range(6, 8))
    outbox.drain()
    assert store.steps() == list(range(8))
    assert not list(spool.folder.glob("*.jsonl"))


@pytest.mark.parametrize("bad", ["a", "m", "z"])
def test_a_run_that_fails_alone_holds_up_no_other(
    outbox: Outbox, store: Store, clock: Clock, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.bad = {bad, f"{bad}{bad}"}
    for step in range(3):
        for run in ("b", bad, f"{bad}{bad}", "y"):
            put(outbox, range(step, step + 1), run)
        outbox.drain()
        outbox.retry()
        assert store.steps("b") == store.steps("y") == list(range(step + 1))
    assert store.calls == 2 * 3 + 2  # those that failed are left alone for a while
    assert len([one for one in caplog.records if "does not take records of run" in one.msg]) == 1
    store.bad = set()
    clock.now = 31
    outbox.retry()
    assert store.steps(bad) == store.steps(bad * 2) == [0, 1, 2]
    assert outbox.close() == Left()


def test_what_an_earlier_process_left_and_fails_holds_up_nothing(
    store: Store, spool: Spool, clock: Clock
) -> None:
    store.up = False
    first = Outbox(store, spool, interval=None)
    for run in ("a", "b", "z"):
        put(first, range(2), run)
    first.close()
    store.up, store.bad = True, {"a"}
    second = Outbox(store, spool, interval=None, clock=clock)
    assert second.redeliver() == 2
    put(second, range(2), "new")
    assert second.close() == Left(waiting=("a",))
    assert store.steps("b") == store.steps("z") == store.steps("new") == [0, 1]


def test_runs_of_an_unreachable_place_are_behind_those_that_arrive(
    store: Store, spool: Spool, clock: Clock
) -> None:
    """Each of their failures is one of the connection, after which the store is left alone."""
    old = ["a", "b", "c"]

    def send(run_id: str, records: Sequence[Record], /) -> None:
        if run_id in old:
            raise ConnectionError("no answer from the bucket")
        store(run_id, records)

    first = Outbox(send, spool, interval=None)
    for run in old:
        put(first, range(2), run)
    first.close()
    second = Outbox(send, spool, interval=None, clock=clock)
    assert second.redeliver() == 0
    for minute in range(3):
        put(second, range(minute, minute + 1), "new")
        second.drain()
        clock.now += 60
        second.retry()
        assert store.steps("new") == list(range(minute + 1))
    assert second.close() == Left(waiting=("a", "b", "c"))


def test_a_failure_that_takes_long_is_one_of_the_store(store: Store, spool: Spool) -> None:
    clock, asked = Clock(), []

    def send(run_id: str, records: Sequence[Record], /) -> None:
        asked.append(run_id)
        clock.now += 5
        raise RuntimeError("gave up")

    box = Outbox(send, spool, interval=None, clock=clock)
    for run in ("a", "b", "c"):
        put(box, range(1), run)
    box.drain()
    assert asked == ["a"]
    box.close()


def test_next_outbox_delivers_what_is_left_once(store: Store, spool: Spool, tmp_path: Path) -> None:
    kept = tmp_path / "best.pt"
    kept.write_text("weights")
    store.up = False
    first = Outbox(store, spool, interval=None)
    put(first, range(3))
    first.put("run", delivery.file(kept, ""))
    first.put("run", delivery.status("FINISHED", 7))
    assert first.close() == Left(waiting=("run",))
    kept.unlink()

    store.up = True
    second = Outbox(store, spool, interval=None)
    assert second.redeliver() == 1
    assert second.redeliver() == 0
    assert second.close() == Left()
    assert store.steps() == [0, 1, 2]
    assert store.files == ["weights"]
    assert store.taken["run"][-1] == delivery.status("FINISHED", 7)
    assert [path.name for path in spool.folder.iterdir() if path.name != ".lock"] == []


def test_redelivery_that_fails_keeps_everything(store: Store, spool: Spool) -> None:
    store.up = False
    first = Outbox(store, spool, interval=None)
    put(first, range(3))
    first.close()
    second = Outbox(store, spool, interval=None)
    assert second.redeliver() == 0
    assert second.close() == Left(waiting=("run",))
    assert left_behind(spool) == [0, 1, 2]


def test_what_is_refused_is_put_aside_and_the_rest_goes_on(
    outbox: Outbox, store: Store, spool: Spool
) -> None:
    store.refuses = lambda record: record["kind"] == "tag"
    put(outbox, range(2))
    outbox.put("run", delivery.tag("bad", "tag"))
    put(outbox, range(2, 4))
    outbox.drain()
    assert store.steps() == list(range(4))
    assert outbox.close() == Left(refused=(("run", "no such run"),))
    refused = (spool.folder / "refused" / "run.jsonl").read_text()
    assert json.loads(refused) == {"kind": "tag", "name": "bad", "value": "tag"}


@pytest.mark.parametrize("away", [False, True], ids=["at once", "after waiting"])
def test_a_file_that_is_refused_is_kept_with_its_content(
    outbox: Outbox, store: Store, spool: Spool, clock: Clock, tmp_path: Path, away: bool
) -> None:
    store.refuses = lambda record: record["kind"] == "file"
    store.up = not away
    weights = tmp_path / "best.pt"
    weights.write_text("weights")
    outbox.store("run", delivery.file(weights, "checkpoints"))
    weights.unlink()
    store.up, clock.now = True, 31
    outbox.retry()
    assert outbox.close() == Left(refused=(("run", "no such run"),))
    refused = spool.folder / "refused"
    line = json.loads((refused / "run.jsonl").read_text())
    assert (refused / "run.files" / line["path"]).read_text() == "weights"
    assert [path.name for path in spool.folder.iterdir() if path.name != ".lock"] == ["refused"]


def test_interrupt_while_sending_loses_nothing(store: Store, spool: Spool) -> None:
    def interrupted(run_id: str, records: Sequence[Record], /) -> None:
        store(run_id, records)
        if store.calls == 2:
            raise KeyboardInterrupt

    outbox = Outbox(interrupted, spool, interval=None)
    put(outbox, range(2), "a")
    put(outbox, range(2), "b")
    put(outbox, range(2), "c")
    with pytest.raises(KeyboardInterrupt):
        outbox.drain()
    outbox.close()
    # What was sent is sent again: equal records, which the store holds once.
    assert {run: store.steps(run)[-2:] for run in "abc"} == {run: [0, 1] for run in "abc"}


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_neither_store_nor_disk_takes_waits_in_memory(
    outbox: Outbox,
    store: Store,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.up = False
    with monkeypatch.context() as patch:
        patch.setattr(spool, "append", full)
        for step in range(3):
            put(outbox, range(step, step + 1))
            outbox.drain()
    assert caplog.text.count("Neither the store of runs nor the disk takes what is recorded") == 1
    assert "No space left on device" in caplog.text
    outbox.drain()
    assert [record["step"] for record in spool.read("run")] == [0, 1, 2]
    store.up = True
    outbox.catch_up()
    assert store.steps() == [0, 1, 2]


def test_one_run_that_the_disk_does_not_take_stops_no_other(
    outbox: Outbox, store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = spool.append
    monkeypatch.setattr(
        spool, "append", lambda run, records: full() if run == "large" else append(run, records)
    )
    store.up = False
    for step in range(2):
        put(outbox, range(step, step + 1), "large")
        put(outbox, range(step, step + 1), "small")
        outbox.drain()
    assert [record["step"] for record in spool.read("small")] == [0, 1], "once each"
    store.up = True
    outbox.catch_up()
    assert store.steps("large") == store.steps("small") == [0, 1]


def test_what_is_lost_at_the_end_is_counted(
    outbox: Outbox, store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "append", full)
    store.up = False
    put(outbox, range(3))
    assert outbox.close() == Left(lost=3, why="[Errno 28] No space left on device")


def test_file_that_nothing_takes_is_an_error_and_does_not_wait(
    outbox: Outbox, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spool: Spool
) -> None:
    (tmp_path / "best.pt").write_text("weights")
    store.up = False
    with monkeypatch.context() as patch:
        patch.setattr("shutil.copy2", full)
        with pytest.raises(OSError, match="No space left"):
            outbox.store("run", delivery.file(tmp_path / "best.pt", ""))
    put(outbox, range(2))
    store.up = True
    outbox.catch_up()
    assert store.steps() == [0, 1]
    assert store.files == []
    assert not list(spool.folder.glob("*.files/*")), "no half of a copy stays"


def test_what_is_of_a_run_of_another_process_is_left_out_and_told(
    outbox: Outbox, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(run_id: str, records: Sequence[Record]) -> None:
        raise OthersError(run_id)

    monkeypatch.setattr(outbox, "_send", send)
    for step in range(3):
        outbox.put("run", delivery.metric("loss", 1.0, step, 1000))
    outbox.put("run", delivery.status("FINISHED", 7))
    left = outbox.close()
    assert left == Left(others=(("run", 4),))
    assert left.nothing
    assert not list(spool.folder.glob("*.jsonl"))


def test_good_records_are_taken_from_among_refused_ones(outbox: Outbox, store: Store) -> None:
    store.refuses = lambda record: record.get("step") in (3, 700)
    put(outbox, range(1000))
    outbox.drain()
    assert store.steps() == [step for step in range(1000) if step not in (3, 700)]
    assert outbox.close() == Left(refused=(("run", "no such run"),))


def test_newer_records_wait_behind_those_of_a_dead_process(
    store: Store, spool: Spool, clock: Clock
) -> None:
    store.up = False
    first = Outbox(store, spool, interval=None)
    put(first, range(2))
    first.put("run", delivery.status("KILLED", 1))
    first.close()
    second = Outbox(store, Spool(spool.folder, spool.store), interval=None, clock=clock)
    assert second.redeliver() == 0
    store.up = True
    clock.now = 31
    put(second, range(2, 4))
    second.put("run", delivery.status("FINISHED", 2))
    second.drain()
    third = Outbox(store, Spool(spool.folder, spool.store), interval=None)
    assert third.redeliver() == 0, "the second has it now"
    third.close()
    second.close()
    assert store.steps() == [0, 1, 2, 3]
    assert store.taken["run"][-1]["status"] == "FINISHED"


def test_second_interrupt_while_closing_puts_everything_on_disk(spool: Spool) -> None:
    calls: list[str] = []

    def impatient(run_id: str, records: Sequence[Record], /) -> None:
        calls.append(run_id)
        raise KeyboardInterrupt

    outbox = Outbox(impatient, spool, interval=None)
    put(outbox, range(3))
    with pytest.raises(KeyboardInterrupt):
        outbox.close()
    assert calls == ["run"], "a store that hangs must not be asked again"
    assert left_behind(spool) == [0, 1, 2]
