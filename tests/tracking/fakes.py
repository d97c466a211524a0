"""A store and a clock that do what a test says."""

from collections.abc import Callable, Sequence
from pathlib import Path

from regexp.tracking import delivery
from regexp.tracking.outbox import Outbox, RefusedError
from regexp.tracking.spool import Record, Spool


class Store:
    """Takes records while it is up."""

    def __init__(self) -> None:
        self.up = True
        self.refuses: Callable[[Record], bool] = lambda record: False
        self.bad: set[str] = set()  # runs of which it takes nothing, though it answers
        self.taken: dict[str, list[Record]] = {}
        self.files: list[str] = []
        self.calls = 0

    def __call__(self, run_id: str, records: Sequence[Record], /) -> None:
        self.calls += 1
        if not self.up:
            raise ConnectionError("connection refused")
        if run_id in self.bad:
            raise ImportError("no module for this place of artifacts")
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


def put(outbox: Outbox, steps: range, run_id: str = "run") -> None:
    for step in steps:
        outbox.put(run_id, delivery.metric("loss", 1.0, step, 0))


def left_behind(spool: Spool, run_id: str = "run") -> list[int]:
    """The steps of the metrics that the next process finds of a run."""
    later = Spool(spool.folder, spool.store)
    with later.claim():
        found = [record["step"] for record in later.read(run_id) if record["kind"] == "metric"]
    later.release()
    return found
