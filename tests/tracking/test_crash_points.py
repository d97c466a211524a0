"""The sender is stopped between any two operations: in the end the store holds the same.

The oracle is the same sequence of records delivered without a disturbance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import delivery
from regexp.tracking.outbox import Outbox
from regexp.tracking.spool import Record, Spool

OPERATIONS = ("append", "read", "remove", "refuse", "touch", "release", "_create", "_adopt")


class Stopped(BaseException):
    """As a signal that ends the process: nothing catches it."""


class Bomb:
    """Goes off at the n-th operation, before or after it takes effect; every third send fails."""

    def __init__(self, at: int, after: bool) -> None:
        self.at, self.after, self.count, self.sends = at, after, 0, 0

    def guard(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any) -> Any:
            self.count += 1
            mine = self.count == self.at
            if mine and not self.after:
                raise Stopped
            try:
                return operation(*args)
            finally:
                if mine:
                    raise Stopped

        return guarded


class Content:
    """What MLflow keeps: points of metrics once each, the last tag, the last status, files."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[Any, ...]]] = {}  # of each run, as they arrived
        self.tags: dict[str, str] = {}
        self.status: list[str] = []
        self.files: dict[str, str] = {}

    def take(self, run_id: str, records: Sequence[Record]) -> None:
        for record in records:
            match record["kind"]:
                case "metric":
                    key = tuple(record[name] for name in ("name", "step", "time", "value"))
                    known = self.points.setdefault(run_id, [])
                    known += [key] if key not in known else []
                case "tag":
                    self.tags[f"{run_id} {record['name']}"] = record["value"]
                case "status":
                    self.status = [record["status"]]
                case "file":
                    path = Path(record["path"])
                    self.files[f"{record['folder']}/{path.name}"] = path.read_text()

    def shown(self) -> tuple[Any, ...]:
        return self.points, self.tags, self.status, self.files


def records(folder: Path) -> list[tuple[str, list[Record]]]:
    """What two runs record, cut as it is drained."""
    folder.mkdir(exist_ok=True)
    best = folder / "best.pt"
    best.write_text("weights")

    def points(*steps: int) -> list[Record]:
        return [delivery.metric("loss", 1 / step, step, 1000 + step) for step in steps]

    return [
        ("a", [*points(1, 2), delivery.tag("epoch", "2")]),
        ("b", points(1)),
        ("a", [*points(3), delivery.tag("epoch", "3"), delivery.file(best, "checkpoints")]),
        ("b", [*points(2, 3), delivery.tag("reason", "nan")]),
        ("a", [*points(4), delivery.tag("epoch", "4"), delivery.status("FINISHED", 9)]),
    ]


def open_outbox(content: Content, folder: Path, bomb: Bomb | None) -> Outbox:
    spool = Spool(folder / "undelivered", "store")

    def send(run_id: str, batch: Sequence[Record], /) -> None:
        if bomb:
            bomb.sends += 1
            if bomb.sends % 3 == 2:
                raise ConnectionError("connection refused")
        content.take(run_id, batch)

    outbox = Outbox(bomb.guard(send) if bomb else send, spool, interval=None, pause=0)
    if bomb:
        for name in OPERATIONS:
            setattr(spool, name, bomb.guard(getattr(spool, name)))
    return outbox


def record_all(outbox: Outbox, chunks: Iterable[tuple[str, list[Record]]]) -> None:
    for run_id, some in chunks:
        for record in some:
            outbox.put(run_id, record)
        outbox.drain()


def undisturbed(folder: Path) -> Content:
    content = Content()
    outbox = open_outbox(content, folder, None)
    record_all(outbox, records(folder))
    outbox.close()
    return content


def disturbed(folder: Path, at: int, after: bool, killed: bool) -> tuple[Content, bool]:
    """What the store holds after a stop at an operation, and whether there was one.

    Args:
        folder: an empty one.
        at: the number of the operation.
        after: stop after it instead of before.
        killed: nothing of the process is left, and a later one records the same once more, as a
            resumed run does; else the process goes on to its end, and a later one delivers.
    """
    content, bomb = Content(), Bomb(at, after)
    outbox = open_outbox(content, folder, bomb)
    chunks = iter(records(folder))
    stopped = False
    for step in (lambda: record_all(outbox, chunks), outbox.close):
        try:
            step()
        except Stopped:
            stopped = True
            if killed:
                break
            record_all(outbox, chunks)
    bomb.at = -1
    outbox._spool.release()  # the process is dead: its files are free
    later = open_outbox(content, folder, None)
    later.redeliver()
    if killed:
        record_all(later, records(folder))
    assert later.close().waiting == ()
    return content, stopped


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_whenever_it_is_stopped_the_store_holds_the_same(
    tmp_path: Path, after: bool, killed: bool
) -> None:
    expected = undisturbed(tmp_path / "undisturbed").shown()
    at, stopped = 0, True
    while stopped:
        at += 1
        content, stopped = disturbed(tmp_path / str(at), at, after, killed)
        assert content.shown() == expected, f"stopped at operation {at}"
    assert at > 15, "this test stops nothing"
