"""The outbox with a store that fails on command: order, batches, and that nothing is lost."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from regexp.tracking import delivery, process
from regexp.tracking.outbox import Outbox, RefusedError, batches
from regexp.tracking.spool import Record, Spool


class Store:
    """Takes records while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.refuses: Callable[[Record], bool] = lambda record: False
        self.taken: dict[str, list[Record]] = {}
        self.files: list[str] = []
        self.calls = 0

    def __call__(self, run_id: str, records: Sequence[Record], /) -> None:
        self.calls += 1
        if not self.up:
            raise ConnectionError("connection refused")
        if any(map(self.refuses, records)):
            raise RefusedError("no such run")
        self.taken.setdefault(run_id, []).extend(records)
        self.files += [Path(r["path"]).read_text() for r in records if r["kind"] == "file"]

    def steps(self, run_id: str = "run") -> list[int]:
        return [record["step"] for record in self.taken[run_id] if record["kind"] == "metric"]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


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
    # The thread would wake after an hour: here only the test drains.
    outbox = Outbox(store, spool, interval=3600, clock=clock)
    yield outbox
    outbox.close()


def put(outbox: Outbox, steps: range, run_id: str = "run") -> None:
    for step in steps:
        outbox.put(run_id, delivery.metric("loss", 1.0, step, 0))


def test_order_is_kept_in_each_run(outbox: Outbox, store: Store) -> None:
    for step in range(5):
        put(outbox, range(step, step + 1), "a")
        put(outbox, range(step, step + 1), "b")
    outbox.drain()
    assert store.steps("a") == store.steps("b") == list(range(5))


def test_put_sends_nothing(outbox: Outbox, store: Store) -> None:
    put(outbox, range(10))
    assert store.calls == 0


def test_batches_hold_what_one_call_takes() -> None:
    records = [delivery.metric("loss", 1.0, step, 0) for step in range(2500)]
    records += [delivery.tag(f"t{index}", "") for index in range(150)]
    records += [delivery.text("a", "a.txt"), delivery.text("b", "b.txt")]
    cut = list(batches(records))
    assert [len(batch) for batch in cut] == [1000, 1000, 500, 100, 50, 1, 1]
    assert [record for batch in cut for record in batch] == records


def test_full_queue_wakes_the_thread(store: Store, spool: Spool) -> None:
    import threading

    sent = threading.Event()

    def send(run_id: str, records: Sequence[Record], /) -> None:
        store(run_id, records)
        sent.set()

    outbox = Outbox(send, spool, interval=3600)
    put(outbox, range(1000))
    assert sent.wait(60)
    outbox.close()
    assert store.steps() == list(range(1000))


def test_close_sends_what_is_queued(store: Store, spool: Spool) -> None:
    outbox = Outbox(store, spool, interval=3600)
    put(outbox, range(3))
    assert outbox.close() == (0, {})
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
        "The store of runs does not answer (connection refused). Training goes on; metrics are "
        f"kept in {spool.folder} until it does."
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
    outbox._retry()
    put(outbox, range(6, 8))
    outbox.drain()
    assert store.steps() == list(range(8))
    assert not list(spool.folder.glob("*.jsonl"))


def test_next_outbox_delivers_what_is_left_once(store: Store, spool: Spool, tmp_path: Path) -> None:
    kept = tmp_path / "best.pt"
    kept.write_text("weights")
    store.up = False
    first = Outbox(store, spool, interval=3600)
    put(first, range(3))
    first.put("run", delivery.file(kept, ""))
    first.put("run", delivery.status("FINISHED", 7))
    assert first.close() == (1, {})
    kept.unlink()

    store.up = True
    second = Outbox(store, spool, interval=3600)
    assert second.redeliver() == 1
    assert second.redeliver() == 0
    assert second.close() == (0, {})
    assert store.steps() == [0, 1, 2]
    assert store.files == ["weights"]
    assert store.taken["run"][-1] == {"kind": "status", "status": "FINISHED", "time": 7}
    assert [path.name for path in spool.folder.iterdir() if path.name != ".lock"] == []


def test_redelivery_that_fails_keeps_everything(store: Store, spool: Spool) -> None:
    store.up = False
    first = Outbox(store, spool, interval=3600)
    put(first, range(3))
    first.close()
    second = Outbox(store, spool, interval=3600)
    assert second.redeliver() == 0
    second.close()
    assert [record["step"] for record in spool.read("run")] == [0, 1, 2]


def test_files_of_a_living_process_and_of_other_stores_are_left_alone(
    outbox: Outbox, store: Store, spool: Spool
) -> None:
    spool.append("living", [delivery.metric("loss", 1.0, 0, 0)])
    other = Spool(spool.folder, "http://elsewhere")
    other.append("other", [delivery.metric("loss", 1.0, 0, 0)])
    other.release("other")
    assert outbox.redeliver() == 0
    assert store.taken == {}


def test_file_of_a_dead_process_is_delivered(outbox: Outbox, store: Store, spool: Spool) -> None:
    spool.append("run", [delivery.metric("loss", 1.0, 0, 0)])
    path = spool.folder / "run.jsonl"
    dead = json.loads(process.tags()["process"]) | {"start": "-1"}
    lines = [json.loads(line) for line in path.read_text().split("\n") if line]
    lines[0]["process"] = json.dumps(dead)
    # The last line is half: its writer was killed.
    path.write_text("\n".join(map(json.dumps, lines)) + '\n{"kind": "metr')
    assert outbox.redeliver() == 1
    assert store.steps() == [0]


def test_half_a_line_hides_no_later_one(spool: Spool) -> None:
    spool.append("run", [delivery.metric("loss", 1.0, 0, 0)])
    with (spool.folder / "run.jsonl").open("a") as file:
        file.write('{"kind": "metr')
    spool.append("run", [delivery.metric("loss", 1.0, 1, 0)])
    assert [record["step"] for record in spool.read("run")] == [0, 1]


def test_what_is_refused_is_put_aside_and_the_rest_goes_on(
    outbox: Outbox, store: Store, spool: Spool
) -> None:
    store.refuses = lambda record: record["kind"] == "tag"
    put(outbox, range(2))
    outbox.put("run", delivery.tag("bad", "tag"))
    put(outbox, range(2, 4))
    outbox.drain()
    assert store.steps() == list(range(4))
    assert outbox.close() == (0, {"run": "no such run"})
    refused = (spool.folder / "refused" / "run.jsonl").read_text()
    assert json.loads(refused) == {"kind": "tag", "name": "bad", "value": "tag"}


def test_interrupt_while_sending_loses_nothing(store: Store, spool: Spool) -> None:
    def interrupted(run_id: str, records: Sequence[Record], /) -> None:
        store(run_id, records)
        if store.calls == 2:
            raise KeyboardInterrupt

    outbox = Outbox(interrupted, spool, interval=3600)
    put(outbox, range(2), "a")
    put(outbox, range(2), "b")
    put(outbox, range(2), "c")
    with pytest.raises(KeyboardInterrupt):
        outbox.drain()
    outbox.close()
    # What was sent is sent again: equal records, which the store holds once.
    assert {run: store.steps(run)[-2:] for run in "abc"} == {run: [0, 1] for run in "abc"}


def test_records_stay_queued_when_the_disk_fails_too(
    outbox: Outbox, store: Store, spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run_id: str, records: Sequence[Record], /) -> None:
        raise OSError("no space left on device")

    store.up = False
    put(outbox, range(3))
    with monkeypatch.context() as patch:
        patch.setattr(spool, "append", full)
        with pytest.raises(OSError, match="no space"):
            outbox.drain()
    outbox.drain()
    assert [record["step"] for record in spool.read("run")] == [0, 1, 2]


def test_infinities_survive_the_disk(spool: Spool) -> None:
    spool.append("run", [delivery.metric("loss", float("-inf"), 0, 0)])
    assert spool.read("run")[0]["value"] == float("-inf")
