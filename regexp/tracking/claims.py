"""What keeps the processes on one store apart: leases, or file locks where the store is a file."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from regexp.tracking import store
from regexp.tracking.lease import Leases
from regexp.tracking.places import sqlite_file

Waits = Callable[[str], object]
"""Told who does what one has to wait for."""


class TakenError(RuntimeError):
    """Another process does what one wants to do alone."""


class TakenOverError(TakenError):
    """Another process has taken over what one did alone, as nothing was heard of this one."""


class FileLocks:
    """The same where the store is a file and all processes are on one machine: file locks.

    Args:
        folder: of the locks, made with the first.

    Attributes:
        look: seconds between two looks at a lock that another has.
    """

    look = 0.05

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[FileLock] = []

    def take(self, name: str) -> FileLock | None:
        """The lock; None while another process has it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / f"{name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        self._held.append(lock)
        return lock

    def holder(self, name: str) -> str:
        """Who has a lock: it does not tell."""
        return ""

    def has(self, lease: FileLock) -> bool:
        """Whether nobody has taken a lock over: nobody can."""
        return True

    def release(self, lease: FileLock) -> None:
        """Give a lock back. Once is enough."""
        if lease in self._held:
            self._held.remove(lease)
            lease.release()

    def sure(self, lease: FileLock) -> bool:
        """Whether a lock is known to be this process's still; here it costs little to look."""
        return False

    def close(self, *, clear: bool = False) -> None:
        """Give all back; what a process that dies had locked is free by itself."""
        for lock in list(self._held):
            self.release(lock)


def leases_of(client: Any, uri: str, folder: Path) -> Leases | FileLocks:
    """What keeps processes on one store apart.

    Args:
        client: MLflow's.
        uri: of the store, absolute.
        folder: `paths.mlruns`.
    """
    database = sqlite_file(uri)
    if database is not None:
        return FileLocks(database.parent / "locks")
    # Databricks keeps models elsewhere, under names of other forms.
    return FileLocks(folder / "locks") if uri == "databricks" else Leases(client)


class Claims:
    """What this process does alone, of all that use a store.

    Args:
        client: MLflow's.
        uri: of the store, absolute.
        folder: `paths.mlruns`.
        patience: repeats a request while the store is away.
    """

    def __init__(
        self,
        client: Any,
        uri: str,
        folder: Path,
        patience: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._leases = leases_of(client, uri, folder)
        self._uri = uri
        self._patience = patience
        self._owned: dict[str, Any] = {}  # sweep -> lease
        self._doing: list[Any] = []  # the leases of `alone`, the innermost last
        self._covered: dict[str, Any] = {}  # run -> lease

    def own(self, run_id: str, waits: Waits | None) -> bool:
        """Own a sweep from now on, until `close`; False if another does and `waits` is None.

        Args:
            run_id: of the sweep's parent run.
            waits: told once who owns it, if one has to wait; None not to.
        """
        if run_id not in self._owned or not self._leases.has(self._owned[run_id]):
            try:
                self._owned[run_id] = self._wait(f"{run_id}-sweep", waits)
            except TakenError:
                return False
        self._covered[run_id] = self._owned[run_id]
        return True

    def cover(self, run_id: str) -> None:
        """Let a run be this process's as long as the innermost block of `alone` is."""
        if self._doing:
            self._covered[run_id] = self._doing[-1]

    def uncover(self, run_id: str) -> None:
        """Forget a run that has ended."""
        self._covered.pop(run_id, None)

    def has(self, run_id: str) -> bool:
        """Whether nobody has taken a run over.

        Raises:
            Exception: of MLflow's client, where the store has to be asked.
        """
        lease = self._covered.get(run_id)
        return lease is None or self._leases.has(lease)

    @contextmanager
    def alone(self, name: str, waits: Waits | None) -> Iterator[None]:
        """Do something alone while the block lasts; see `Tracker.alone`."""
        lease = self._wait(name, waits)
        self._doing.append(lease)
        try:
            yield
        finally:
            self._doing.remove(lease)
            self._leases.release(lease)

    def sure(self, run_id: str) -> bool:
        """Whether a run is surely still this process's, as nobody can have taken it over."""
        lease = self._covered.get(run_id)
        return lease is not None and self._leases.sure(lease)

    def close(self) -> None:
        """Leave everything to others."""
        self._leases.close(clear=bool(self._owned))
        self._owned.clear()

    def _wait(self, name: str, waits: Waits | None) -> Any:
        def take() -> tuple[Any, str]:
            with store.explained(self._uri):
                lease = self._leases.take(name)
                return lease, "" if lease or told else self._leases.holder(name)

        told = False
        while True:
            lease, holder = self._patience(take)
            if lease is not None:
                return lease
            if waits is None:
                raise TakenError(f"{holder or 'another process'} does {name}")
            if not told:
                waits(holder or "another process")
                told = True
            time.sleep(self._leases.look)
