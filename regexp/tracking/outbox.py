"""Everything that a run records on its way to the store: queued, sent in batches, never lost.

Training only appends to a queue. One thread a tracker empties it every couple of seconds. When
the store does not answer, records go to `undelivered/<run id>.jsonl` and are sent later: by the
same process when the store is back, else by the next tracker that opens the same store. Sending
twice is harmless, because a metric keeps the time at which it was recorded and the store holds
equal ones once; so a record leaves the queue or the disk only after it was sent.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

from regexp.tracking.spool import Record, Spool

_logger = logging.getLogger(__name__)

METRICS_A_BATCH = 1000  # MLflow's limits
TAGS_A_BATCH = 100  # of tags, and of params
_RECORDS_A_ROUND = 10 * METRICS_A_BATCH


class RefusedError(Exception):
    """The store answered and will never take this record (a deleted run, an invalid value)."""


class Send(Protocol):
    """Delivers records of one kind; raises `RefusedError`, or anything else to be tried again."""

    def __call__(self, run_id: str, records: Sequence[Record], /) -> None: ...


class Outbox:
    """Sends the records of all runs of one tracker, in the order of each run.

    Args:
        send: delivers at most one batch.
        spool: where records wait on disk.
        interval: seconds between two deliveries.
        pause: seconds after a failure during which the store is left alone.
        clock: a monotonic clock in seconds.
    """

    def __init__(
        self,
        send: Send,
        spool: Spool,
        *,
        interval: float = 2.0,
        pause: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._spool = spool
        self._interval = interval
        self._pause = pause
        self._clock = clock
        self._queue: deque[tuple[str, Record]] = deque()
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closing = False
        self._retry_at = float("-inf")
        self._failing = False
        self._behind: set[str] = set()  # runs with records on disk: newer ones queue behind
        self._refused: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="regexp tracking", daemon=True)
        self._thread.start()

    def put(self, run_id: str, record: Record) -> None:
        """Queue a record; never blocks."""
        self._queue.append((run_id, record))
        if len(self._queue) >= METRICS_A_BATCH:
            self._wake.set()

    def drain(self) -> None:
        """Send everything queued, or put it on disk; return when nothing is queued."""
        with self._lock:
            while count := min(len(self._queue), _RECORDS_A_ROUND):
                by_run: dict[str, list[Record]] = {}
                for index in range(count):  # an iterator would not bear the other threads' put
                    run_id, record = self._queue[index]
                    by_run.setdefault(run_id, []).append(record)
                for run_id, records in by_run.items():
                    self._deliver(run_id, records)
                # Only now: an interrupt above leaves all in the queue, to be sent once more.
                for _ in range(count):
                    self._queue.popleft()

    def redeliver(self) -> int:
        """Send what earlier processes left on disk for this store; return the number of runs."""
        delivered = 0
        with self._lock, self._spool.claim() as abandoned:
            for run_id in abandoned:
                self._behind.add(run_id)
                if not self._catch_up(run_id):
                    break
                delivered += 1
            self._behind.difference_update(abandoned)
        return delivered

    def close(self) -> tuple[int, dict[str, str]]:
        """Drain, try once more what is on disk, and stop.

        Returns:
            (undelivered, refused): the number of runs with records left on disk, and the runs of
            which the store refused records for good, with its reason.

        Raises:
            OSError: neither the store nor the disk took the records.
        """
        self._closing = True
        self._wake.set()
        self._thread.join()
        with self._lock:
            self.drain()
            self._retry_at = float("-inf")
            self._retry()
            for run_id in self._behind:
                self._spool.release(run_id)
            return len(self._behind), dict(self._refused)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(self._interval)
            self._wake.clear()
            try:
                with self._lock:
                    self.drain()
                    self._retry()
            except OSError as error:  # the disk; the records stay queued
                _logger.error("cannot write undelivered metrics: %s", error)

    def _deliver(self, run_id: str, records: list[Record]) -> None:
        if run_id in self._behind or self._clock() < self._retry_at:
            self._keep(run_id, records)
        else:
            left = self._try(run_id, records)
            if left:
                self._keep(run_id, left)

    def _keep(self, run_id: str, records: list[Record]) -> None:
        self._spool.append(run_id, records)
        self._behind.add(run_id)

    def _retry(self) -> None:
        """Send what waits on disk when the pause is over."""
        for run_id in sorted(self._behind):
            if self._clock() < self._retry_at or not self._catch_up(run_id):
                return

    def _catch_up(self, run_id: str) -> bool:
        if self._try(run_id, self._spool.read(run_id)):
            return False
        self._spool.remove(run_id)
        self._behind.discard(run_id)
        return True

    def _try(self, run_id: str, records: list[Record]) -> list[Record]:
        """Send records in batches; return those that could not be sent for now."""
        sent = 0
        for batch in batches(records):
            try:
                self._send(run_id, batch)
            except RefusedError as error:
                self._spool.refuse(run_id, batch)
                self._refused.setdefault(run_id, str(error))
            except Exception as error:  # whatever it is, training goes on and nothing is lost
                if not self._failing:
                    self._failing = True
                    _logger.warning(
                        "The store of runs does not answer (%s). Training goes on; metrics are "
                        "kept in %s until it does.",
                        (str(error).splitlines() or [type(error).__name__])[0],
                        self._spool.folder,
                    )
                self._retry_at = self._clock() + self._pause
                return records[sent:]
            sent += len(batch)
        if sent:
            self._failing = False
        return []


def batches(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Cut records, in order, into batches of one kind that MLflow takes in one call."""
    limits = {"metric": METRICS_A_BATCH, "tag": TAGS_A_BATCH, "param": TAGS_A_BATCH}
    for kind, group in groupby(records, key=lambda record: record["kind"]):
        same = list(group)
        size = limits.get(str(kind), 1)
        for start in range(0, len(same), size):
            yield same[start : start + size]
