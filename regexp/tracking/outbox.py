"""Everything that a run records on its way to the store: queued, sent in batches, never lost.

Training only appends to a queue. One thread a tracker empties it every couple of seconds. When
the store does not answer, records go to `undelivered/<run id>.jsonl` and are sent later: by the
same process when the store is back, else by the next tracker that opens the same store. When the
disk takes nothing either, they wait in memory. Sending twice is harmless, because a metric keeps
the time at which it was recorded and the store holds equal ones once; so a record leaves the
queue or the disk only after it was sent. A run whose records fail while the store answers, as where
its artifacts cannot be written, waits alone: no other is held up.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from regexp.tracking.batches import METRICS_A_BATCH, arranged, batches
from regexp.tracking.error import is_away, reason
from regexp.tracking.spool import UNREADABLE, Record, Spool

_logger = logging.getLogger(__name__)

SECONDS, SECONDS_OF_SERVER = 2.0, 10.0
"""Between two deliveries: a file takes many small ones, a server has other clients."""

SLOW = 3.0
"""Seconds after which a failure is taken for one of the whole store: to fail for each run takes
too long."""

_RECORDS_A_ROUND = 10 * METRICS_A_BATCH
_NEVER = float("inf")


def rest(interval: float, took: float) -> float:
    """Seconds until the next delivery, so that no more than a tenth of the time goes into them.

    Each run of a stack takes a request of its own, which costs nearly as much for few metrics.

    Args:
        interval: the least.
        took: seconds of the last one.
    """
    return max(interval, min(9 * took, SECONDS_OF_SERVER))


class RefusedError(Exception):
    """The store answered and will never take this record (a deleted run, an invalid value)."""


class OthersError(Exception):
    """The records are of a run that another process has taken over, and records itself."""


class Send(Protocol):
    """Delivers records of one kind.

    Raises `RefusedError` or `OthersError`, or anything else to be tried again.
    """

    def __call__(self, run_id: str, records: Sequence[Record], /) -> None: ...


@dataclass(frozen=True)
class Left:
    """What an outbox could not deliver.

    Attributes:
        waiting: the runs with records on disk.
        refused: runs of which the store refused records for good, with its reason.
        lost: how many records neither the store nor the disk took.
        why: what the disk said.
        others: the runs that another process has taken over, with how many records of this one
            were left out; nothing is missing in them.
    """

    waiting: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    lost: int = 0
    why: str = ""
    others: tuple[tuple[str, int], ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether everything was delivered."""
        return not (self.waiting or self.refused or self.lost)


class Outbox:
    """Sends the records of all runs of one tracker, in the order of each run.

    Args:
        send: delivers at most one batch.
        interval: seconds between two deliveries by a thread; None for none but those asked for.
        pause: seconds after a failure during which the store is left alone, or the run is if only
            its records fail.
    """

    def __init__(
        self,
        send: Send,
        spool: Spool,
        *,
        interval: float | None = SECONDS,
        pause: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._spool = spool
        self._interval = interval
        self._pause = pause
        self._clock = clock
        self._queue: deque[tuple[str, Record]] = deque()
        self._stuck: list[tuple[str, Record]] = []  # neither sent nor on disk; older than the queue
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closing = False
        self._retry_at = -_NEVER
        self._failing = False
        self._full = ""  # what the disk said, while it takes nothing
        # Runs with records on disk, behind which newer ones queue: the last to come is the last.
        self._behind: dict[str, None] = {}
        self._paused: dict[str, float] = {}  # run that failed alone -> until when it is left alone
        self._told: set[str] = set()  # why such runs failed
        self._refused: dict[str, str] = {}
        self._others: dict[str, int] = {}
        self._thread = threading.Thread(target=self._work, name="regexp tracking", daemon=True)
        if interval is not None:
            self._thread.start()

    def put(self, run_id: str, record: Record) -> None:
        """Queue a record; never blocks."""
        self._queue.append((run_id, record))
        if len(self._queue) >= _RECORDS_A_ROUND:
            self._wake.set()

    def drain(self) -> None:
        """Send everything queued, or put it on disk; what neither takes stays queued.

        What is put meanwhile waits for the next time: sent at once, it would go in tiny batches.
        """
        with self._lock:
            left = len(self._queue)
            while count := min(left, _RECORDS_A_ROUND):
                self._drain([self._queue[index] for index in range(count)])
                # Only now: an interrupt above leaves all in the queue, to be sent once more.
                for _ in range(count):
                    self._queue.popleft()
                left -= count
                if self._stuck:
                    return
            if self._stuck:
                self._drain([])

    def store(self, run_id: str, record: Record) -> None:
        """Send a record that cannot wait in memory, or put it on disk.

        Raises:
            OSError: neither the store nor the disk took it.
        """
        with self._lock:
            self.drain()
            self._deliver(run_id, [record])

    def retry(self) -> None:
        """Send what waits on disk, if the pause after a failure is over.

        Runs that have failed before come last, and those of earlier processes after newer ones, so
        that none waits for them.
        """
        newest = [*self._behind][::-1]
        for run_id in sorted(newest, key=lambda run: self._paused.get(run, -_NEVER)):
            if self._clock() < self._retry_at:
                return
            if self._clock() >= self._paused.get(run_id, -_NEVER):
                self._catch_up(run_id)

    def catch_up(self) -> None:
        """Send now what waits on disk, also that of processes that have ended."""
        with self._lock:
            self._send_all()

    def redeliver(self) -> int:
        """Send what earlier processes left on disk for this store; return the number of runs."""
        delivered = 0
        with self._lock, self._spool.claim() as abandoned:
            # Until they are sent, what is newer must wait behind them.
            self._behind.update(dict.fromkeys(abandoned))
            for run_id in abandoned:
                if self._clock() < self._retry_at:
                    break
                delivered += self._catch_up(run_id)
        return delivered

    def close(self) -> Left:
        """Send or keep what is queued, try once more what is on disk, and stop.

        What other processes have left for this store meanwhile is sent as well.
        """
        self._closing = True
        self._wake.set()
        try:
            if self._thread.is_alive():
                self._thread.join()
            with self._lock:
                self._send_all()
        except BaseException:  # a second Ctrl-C: what is left goes to disk, without the store
            self._retry_at = _NEVER
            self.drain()
            raise
        finally:
            self._spool.release()
        refused = tuple(self._refused.items())
        lost = len(self._stuck) + len(self._queue)
        others = tuple(self._others.items())
        return Left(tuple(sorted(self._behind)), refused, lost, self._full, others)

    def _send_all(self) -> None:
        """Send all now, whatever failed before: what is queued, on disk, and others' on disk."""
        self._paused.clear()
        for send in (self.drain, self.retry):  # each may find the store away
            self._retry_at = -_NEVER
            send()
        if self._clock() >= self._retry_at:  # the store has answered, or had nothing to
            self.redeliver()

    def _work(self) -> None:
        assert self._interval is not None
        seconds = self._interval
        while not self._closing:
            self._wake.wait(seconds)
            began = self._clock()
            with self._lock:
                self.drain()
                self.retry()
            seconds = rest(self._interval, self._clock() - began)
            self._wake.clear()  # only now: what was sent stood in the queue until it was
            if len(self._queue) >= _RECORDS_A_ROUND:
                self._wake.set()

    def _drain(self, queued: list[tuple[str, Record]]) -> None:
        """Deliver what is stuck and what is queued; what nothing takes is stuck thereafter."""
        by_run: dict[str, list[Record]] = {}
        for run_id, record in (*self._stuck, *queued):
            by_run.setdefault(run_id, []).append(record)
        stuck: list[tuple[str, Record]] = []
        for run_id, records in by_run.items():
            try:
                self._deliver(run_id, records)
            except OSError as error:
                self._tell_full(error)
                stuck += [(run_id, record) for record in records]
        self._stuck = stuck
        if not stuck:
            self._full = ""

    def _deliver(self, run_id: str, records: list[Record]) -> None:
        if run_id in self._behind or self._clock() < self._retry_at:
            self._keep(run_id, records)
        else:
            left = self._try(run_id, records)
            if left:
                self._keep(run_id, left)

    def _keep(self, run_id: str, records: list[Record]) -> None:
        self._spool.append(run_id, records)
        self._behind[run_id] = None

    def _catch_up(self, run_id: str) -> bool:
        """Send what waits of a run on disk; whether nothing does any more."""
        self._spool.touch(run_id)
        try:
            if self._try(run_id, self._spool.read(run_id)):
                return False
            self._spool.remove(run_id)
        except OSError as error:
            self._tell_full(error)
            return False
        self._behind.pop(run_id, None)
        self._paused.pop(run_id, None)
        return True

    def _try(self, run_id: str, records: list[Record]) -> list[Record]:
        """Send records in batches; return those that could not be sent for now.

        Raises:
            OSError: what was refused could not be put aside.
        """
        sent = 0
        records = arranged(records)
        waiting = deque(batches(records))
        while waiting:
            batch = waiting.popleft()
            began = self._clock()
            try:
                if batch[0]["kind"] == UNREADABLE:
                    raise RefusedError(batch[0]["reason"])
                self._send(run_id, batch)
            except RefusedError as error:
                if len(batch) > 1:  # the good ones among them are taken
                    half = len(batch) // 2
                    waiting.extendleft((batch[half:], batch[:half]))
                    continue
                self._spool.refuse(run_id, batch)
                self._refused.setdefault(run_id, reason(error))
            except OthersError:
                self._others[run_id] = self._others.get(run_id, 0) + len(batch)
            except Exception as error:  # whatever it is, training goes on and nothing is lost
                until = self._clock() + self._pause
                if is_away(error) or self._clock() - began > SLOW:
                    self._tell_away(error)
                    self._retry_at = max(self._retry_at, until)
                else:
                    self._tell_alone(run_id, error)
                    self._paused[run_id] = until
                return records[sent:]
            sent += len(batch)
        if sent:
            self._failing = False
        return []

    def _tell_away(self, error: Exception) -> None:
        """Say that the store fails, once until it answers again."""
        if not self._failing:
            self._failing = True
            _logger.warning(
                "The store of runs does not answer (%s). What is recorded is kept in %s until it "
                "does, and training goes on.",
                reason(error),
                self._spool.folder,
            )

    def _tell_alone(self, run_id: str, error: Exception) -> None:
        """Say that the store fails for a run, once for each reason."""
        why = reason(error)
        if why not in self._told:
            self._told.add(why)
            _logger.warning(
                "The store of runs does not take records of run %s (%s). They are kept in %s until "
                "it does, and training goes on.",
                run_id,
                why,
                self._spool.folder,
            )

    def _tell_full(self, error: OSError) -> None:
        """Say that the disk fails, once until it takes records again."""
        if not self._full:
            _logger.warning(
                "Neither the store of runs nor the disk takes what is recorded (%s). It is kept in "
                "memory until one does: make room.",
                error,
            )
        self._full = str(error)
