"""In what order, and how many together, the records of a run are sent."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from regexp.tracking.spool import Record

METRICS_A_BATCH = 1000  # MLflow's limits; of metrics, params and tags together as well
TAGS_A_BATCH = 100  # of tags, and of params
TOGETHER = ("metric", "param", "tag")
"""Kinds that one request takes together."""


def arranged(records: Sequence[Record]) -> list[Record]:
    """The records of a run as they are sent: artifacts, then what one request takes together.

    What says how a run ended stays behind all that came before it.
    """
    found: list[Record] = []
    before: list[Record] = []
    for record in records:
        before.append(record)
        if record["kind"] == "status":
            found += _by_request(before)
            before = []
    return found + _by_request(before)


def _by_request(records: Sequence[Record]) -> list[Record]:
    """Artifacts, what goes together, and a status, each in their order."""
    rank = {"status": 2} | dict.fromkeys(TOGETHER, 1)
    return sorted(records, key=lambda record: rank.get(record["kind"], 0))


def batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Cut records, in order, into batches of one owner that MLflow takes in one call."""
    limits = {"metric": METRICS_A_BATCH, "tag": TAGS_A_BATCH, "param": TAGS_A_BATCH}
    for (together, _), group in groupby(records, key=_alike):
        if not together:
            yield from ([record] for record in group)
            continue
        batch: list[Record] = []
        counts: Counter[str] = Counter()
        for record in group:
            kind = record["kind"]
            if len(batch) == METRICS_A_BATCH or counts[kind] == limits[kind]:
                yield batch
                batch, counts = [], Counter()
            batch.append(record)
            counts[kind] += 1
        yield batch


def _alike(record: Record) -> tuple[bool, Any]:
    """What records of one batch have in common; see `regexp.tracking.spool` for the owner."""
    return record["kind"] in TOGETHER, record.get("owner")
