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
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from regexp.tracking import process
from regexp.tracking.error import reason

EXPIRY = 120.0
"""After how many seconds without a sign of life a lease is another's to take."""

HEARTBEAT = 20.0
"""Seconds between two signs of life."""

PREFIX = "regexp-lease"
_OWNER = "owner"  # tag of the model: JSON of `process.tags` and the nonce

_given_back: set[str] = set()
"""Nonces of leases that this process has given back, perhaps while the store did not answer."""

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


@dataclass(frozen=True)
class _Seen:
    """What stands in the store of a lease that another has."""

    chain: list[str]
    owner: dict[str, str]
    beat: int

    @property
    def nonce(self) -> str:
        return self.owner.get("nonce", "")

    @property
    def who(self) -> str:
        return f"process {self.owner.get('pid', '?')} on {self.owner.get('host', '?')}"


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
        self._client = client
        self._clock = clock
        self._heartbeat = heartbeat
        self._held: list[Lease] = []
        # name -> nonce, beat, seconds without another, and the time of the last look
        self._watched: dict[str, tuple[str, int, float, float]] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def take(self, name: str) -> Lease | None:
        """The lease, if nobody has it or whoever has it is dead; None while another has it."""
        nonce, first = uuid.uuid4().hex, f"{PREFIX}-{name}"
        if lease := self._create([first], nonce):
            self._watched.pop(name, None)
            return lease
        seen = self._look(first)
        if seen is None:  # released between the two requests
            return None
        if not self._expired(name, seen):
            return None
        self._watched.pop(name, None)
        lease = self._create([*seen.chain, _successor(first, seen.nonce)], nonce)
        if lease is None:
            return None
        now = self._look(first)
        if now is None or now.nonce != nonce:  # what it follows was given back meanwhile
            self._held.remove(lease)
            self._client.delete_registered_model(lease.chain[-1])
            return None
        _logger.info("Took over what %s had left, as nothing is heard of it.", seen.who)
        return lease

    def holder(self, name: str) -> str:
        """Who has a lease, for people; empty if nobody has."""
        seen = self._look(f"{PREFIX}-{name}")
        return seen.who if seen else ""

    def has(self, lease: Lease) -> bool:
        """Whether nobody has taken it over; where a sign of life is late, the store is asked."""
        with lease.lock:
            if lease in self._held and not lease.lost:
                self._renew(lease, only_late=True)
            return not lease.lost

    def release(self, lease: Lease) -> None:
        """Give a lease back; where the store does not answer, it expires. Once is enough."""
        with lease.lock, suppress(Exception):
            _given_back.update((lease.nonce, lease.next))
            if lease in self._held:
                self._held.remove(lease)
                self._renew(lease, only_late=True)
                while lease.chain and not lease.lost:  # the first first: then it is free
                    self._client.delete_registered_model(lease.chain.pop(0))

    def sure(self, lease: Lease) -> bool:
        """Whether nobody can have taken a lease over: it is held, and was heard of lately."""
        fresh = self._clock() - lease.heard < EXPIRY / 2
        return lease in self._held and not lease.lost and fresh

    def close(self) -> None:
        """Give all back."""
        self._stop.set()
        for lease in list(self._held):
            self.release(lease)

    def beat(self) -> None:
        """Give a sign of life for every lease."""
        for lease in list(self._held):
            with lease.lock:
                if lease in self._held and not lease.lost:
                    try:
                        self._renew(lease)
                    except Exception as error:  # the store is away, for others as well
                        _logger.info("No sign of life reaches the store (%s).", reason(error))

    def _renew(self, lease: Lease, *, only_late: bool = False) -> None:
        """Give a sign of life; where it is late, others may be there: then by a successor."""
        sent = self._clock()
        if sent - lease.heard > EXPIRY / 2:
            name = _successor(lease.chain[0], lease.nonce)
            if self._put(name, lease.next):
                lease.chain.append(name)
                lease.nonce, lease.next, lease.heard = lease.next, uuid.uuid4().hex, sent
            else:
                lease.lost = True
                _logger.warning("Another process has taken over what this one does.")
        elif not only_late:
            self._client.update_registered_model(lease.chain[-1], _description())
            lease.heard = sent

    def _create(self, chain: list[str], nonce: str) -> Lease | None:
        sent = self._clock()
        if not self._put(chain[-1], nonce):
            return None
        lease = Lease(chain, nonce, sent)
        self._held.append(lease)
        if self._thread is None and self._heartbeat is not None:
            self._thread = threading.Thread(target=self._work, name="regexp leases", daemon=True)
            self._thread.start()
        return lease

    def _put(self, name: str, nonce: str) -> bool:
        """Create a model; False where another has."""
        from mlflow.exceptions import MlflowException

        owner = json.dumps(process.tags() | {"nonce": nonce})
        try:
            self._client.create_registered_model(name, {_OWNER: owner}, _description())
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            there = self._find(name)  # it is ours where only the answer was lost
            return there is not None and _owner(there).get("nonce") == nonce
        return True

    def _work(self) -> None:
        while not self._stop.wait(self._heartbeat):
            self.beat()

    def _look(self, first: str) -> _Seen | None:
        """The last of a chain, who has the lease; None where nobody has."""
        chain: list[str] = []
        seen: _Seen | None = None
        name = first
        while (model := self._find(name)) is not None:
            chain.append(name)
            seen = _Seen(list(chain), _owner(model), int(model.last_updated_timestamp or 0))
            name = _successor(first, seen.nonce)
        return seen

    def _find(self, name: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client.get_registered_model(name)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _expired(self, name: str, seen: _Seen) -> bool:
        """Whether nothing is heard of a holder any more; it takes several looks to tell."""
        if process.alive(seen.owner) is False or seen.nonce in _given_back:
            return True
        now = self._clock()
        nonce, beat, silent, looked = self._watched.get(name, ("", 0, 0.0, now))
        if (nonce, beat) == (seen.nonce, seen.beat):
            silent += min(now - looked, EXPIRY / 2)  # else the store was away
        else:
            silent = 0.0
        self._watched[name] = seen.nonce, seen.beat, silent, now
        return silent > EXPIRY


def _owner(model: Any) -> dict[str, str]:
    with suppress(ValueError, TypeError, AttributeError):
        return {str(key): str(value) for key, value in json.loads(model.tags[_OWNER]).items()}
    return {}


def _successor(first: str, nonce: str) -> str:
    return f"{first}-{nonce or 'nobody'}"


def _description() -> str:
    """What people see in the UI."""
    tags = process.tags()
    return (
        f"No model: regexp on {tags['host']} (process {tags['pid']}) is at work, and this goes "
        "when it has done. If it stays, nothing uses it, and it can be deleted."
    )
