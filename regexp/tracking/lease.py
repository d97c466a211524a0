"""Leases: of the processes of several machines one at a time does something, such as train a job.

MLflow has no lock and no compare-and-set. What it has is the name of a registered model, which its
database keeps unique whoever asks, and which can be deleted. So a lease is a registered model: who
creates it has it, gives a sign of life now and then, and deletes it in the end.

A lease without a sign of life for `EXPIRY` seconds has expired. Whoever watches it counts them by
its own clock, so that no two clocks are compared, and by looks that the store answers, as while it
is away no sign of life reaches it. Expired, it is followed by another model, whose
name has the nonce of the one that expired: of all who watch, one creates that. So does the holder
itself, where its own sign of life is late; if another was first, the lease is lost. Models that are
followed stay until the last is given back, the first of them first, as a lease is found by that.

A process that dies when its work is done, or ends while the store is away, leaves a lease that
nobody asks for again. Whoever ends a sweep takes such ones over and gives them back: those of dead
processes of its machine, and of other machines what was left for a day, by the store's clock.
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from regexp.tracking import process
from regexp.tracking.error import reason
from regexp.tracking.registry import PREFIX, Registry, Seen, successor

EXPIRY = 120.0
"""After how many seconds without a sign of life a lease is another's to take."""

HEARTBEAT = 20.0
"""Seconds between two signs of life."""

FORGOTTEN = 24 * 60 * 60.0
"""After how many seconds without a sign of life one that nobody asks for is taken away."""

_given_up: set[str] = set()
"""Nonces of what this process does not use (any more), though it may stand in the store."""

_logger = logging.getLogger(__name__)


def awake_or_asleep() -> float:
    """Seconds of a clock that nobody sets; unlike `time.monotonic` it counts a laptop's sleep."""
    kind = getattr(time, "CLOCK_BOOTTIME", None)  # of Linux; that of macOS counts it as well
    return time.clock_gettime(time.CLOCK_MONOTONIC if kind is None else kind)


@dataclass
class Lease:
    """One that this process has.

    Attributes:
        chain: names of the models, from that by which it is found to this process's own.
        nonce: of this process's.
        heard: by the clock, before the last sign of life that arrived was sent.
        lost: whether another has taken it over.
        next: the nonce of its successor, once there is to be one.
    """

    chain: list[str]
    nonce: str
    heard: float
    lost: bool = False
    next: str = field(default_factory=lambda: uuid.uuid4().hex)
    lock: threading.RLock = field(default_factory=threading.RLock)


class Leases:
    """The leases of one process in one store.

    Args:
        client: MLflow's.
        clock: monotonic, in seconds, which goes on while the machine sleeps.
        heartbeat: seconds between two signs of life; None for none but those asked for.

    Attributes:
        look: seconds between two looks at a lease that another has.
    """

    look = 2.0

    def __init__(
        self,
        client: Any,
        *,
        clock: Callable[[], float] = awake_or_asleep,
        heartbeat: float | None = HEARTBEAT,
    ) -> None:
        self._registry = Registry(client)
        self._clock = clock
        self._heartbeat = heartbeat
        self._held: list[Lease] = []
        # name -> nonce, beat, seconds without another, and the time of the last look
        self._watched: dict[str, tuple[str, int, float, float]] = {}
        self._unreturned = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def take(self, name: str) -> Lease | None:
        """The lease, if nobody has it or whoever has it is dead; None while another has it."""
        first = f"{PREFIX}-{name}"
        if lease := self._create([first]):
            self._watched.pop(name, None)
            return lease
        seen = self._registry.look(first)
        if seen is None or not self._expired(name, seen):  # none: released between the requests
            return None
        self._watched.pop(name, None)
        lease = self._follow(seen)
        if lease is not None:
            _logger.info("Took over what %s had left, as nothing is heard of it.", seen.who)
        return lease

    def holder(self, name: str) -> str:
        """Who has a lease, for people; empty if nobody has."""
        seen = self._registry.look(f"{PREFIX}-{name}")
        return seen.who if seen else ""

    def has(self, lease: Lease) -> bool:
        """Whether nobody has taken it over; where a sign of life is late, the store is asked."""
        with lease.lock:
            if lease in self._held and not lease.lost:
                self._renew(lease, only_late=True)
            return not lease.lost

    def release(self, lease: Lease) -> None:
        """Give a lease back; where the store does not answer, it expires. Once is enough."""
        with lease.lock:
            _given_up.update((lease.nonce, lease.next))
            if lease not in self._held:
                return
            self._held.remove(lease)
            try:
                self._renew(lease, only_late=True)
                for name in lease.chain if not lease.lost else ():  # the first first: it is free
                    self._registry.delete(name)
            except Exception as error:
                self._unreturned = True
                _logger.info("A lease cannot be given back (%s).", reason(error))

    def sure(self, lease: Lease) -> bool:
        """Whether nobody can have taken a lease over: it is held, and was heard of lately."""
        fresh = self._clock() - lease.heard < EXPIRY / 2
        return lease in self._held and not lease.lost and fresh

    def close(self, *, clear: bool = False) -> None:
        """Give all back.

        Args:
            clear: whether what others have left goes as well.
        """
        self._stop.set()
        if clear:
            self._clear()
        for lease in list(self._held):
            self.release(lease)
        if self._unreturned:  # the store may be back
            self._clear()

    def beat(self) -> None:
        """Give a sign of life for every lease."""
        for lease in list(self._held):
            with lease.lock:
                if lease in self._held and not lease.lost:
                    try:
                        self._renew(lease)
                    except Exception as error:  # the store is away, for others as well
                        _logger.info("No sign of life reaches the store (%s).", reason(error))

    def _clear(self) -> None:
        """Take away what nobody has any more, as far as the store answers."""
        try:
            found = list(self._registry.all())
            now = max((one.beat for one in found), default=0)
            for one in found:
                forgotten = now - one.beat > 1000 * FORGOTTEN
                if one.first and (forgotten or _is_gone(one)):
                    self._take_away(one)
        except Exception as error:
            _logger.info("Leases that are left cannot be taken away (%s).", reason(error))

    def _take_away(self, seen: Seen) -> None:
        last = self._registry.look(seen.first)
        if last is None or seen.name not in last.chain:  # the first of its chain was given back
            self._registry.delete(seen.name)
        elif seen.name == last.name and (lease := self._follow(last)):
            self.release(lease)

    def _renew(self, lease: Lease, *, only_late: bool = False) -> None:
        """Give a sign of life; where it is late, others may be there: then by a successor."""
        sent = self._clock()
        if sent - lease.heard > EXPIRY / 2:
            name = successor(lease.chain[0], lease.nonce)
            if self._leads([*lease.chain, name], lease.next):
                lease.chain.append(name)
                lease.nonce, lease.next, lease.heard = lease.next, uuid.uuid4().hex, sent
            else:
                lease.lost = True
                _logger.warning("Another process has taken over what this one does.")
        elif not only_late:
            self._registry.touch(lease.chain[-1])
            lease.heard = sent

    def _create(self, chain: list[str]) -> Lease | None:
        """The lease whose models are a chain, of which the last is created; None if it is there."""
        sent, nonce = self._clock(), uuid.uuid4().hex
        try:
            made = self._leads(chain, nonce)
        except BaseException:  # it may be there: then this process has not to wait for itself
            _given_up.add(nonce)
            raise
        if not made:
            return None
        lease = Lease(chain, nonce, sent)
        self._held.append(lease)
        if self._thread is None and self._heartbeat is not None:
            self._thread = threading.Thread(target=self._work, name="regexp leases", daemon=True)
            self._thread.start()
        return lease

    def _follow(self, seen: Seen) -> Lease | None:
        """The lease that another had; None if somebody else was first."""
        return self._create([*seen.chain, successor(seen.chain[0], seen.nonce)])

    def _leads(self, chain: list[str], nonce: str) -> bool:
        """Create the last of a chain; False where another has, or what it follows has gone."""
        if not self._registry.put(chain, nonce):
            return False
        if len(chain) > 1:
            now = self._registry.look(chain[0])
            if now is None or now.nonce != nonce:
                self._registry.delete(chain[-1])
                return False
        return True

    def _work(self) -> None:
        while not self._stop.wait(self._heartbeat):
            self.beat()

    def _expired(self, name: str, seen: Seen) -> bool:
        """Whether nothing is heard of a holder any more; it takes several looks to tell."""
        if _is_gone(seen):
            return True
        now = self._clock()
        nonce, beat, silent, looked = self._watched.get(name, ("", 0, 0.0, now))
        if (nonce, beat) == (seen.nonce, seen.beat):
            silent += min(now - looked, EXPIRY / 2)  # else the store was away
        else:
            silent = 0.0
        self._watched[name] = seen.nonce, seen.beat, silent, now
        return silent > EXPIRY


def _is_gone(seen: Seen) -> bool:
    """Whether its holder is known to have died, or to use it no longer."""
    return process.alive(seen.owner) is False or seen.nonce in _given_up
