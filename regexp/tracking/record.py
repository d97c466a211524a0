"""The handle through which a run, or a sweep's parent run, is recorded."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from regexp.addresses import public
from regexp.tracking import delivery, names
from regexp.tracking.outbox import Outbox
from regexp.tracking.spool import Record

Status = Literal["FINISHED", "FAILED", "KILLED", "SCHEDULED"]

WALL_SECONDS = "wall_seconds"
"""Tag of a sweep's parent run."""


class RunRecord:
    """One MLflow run. Made by `Tracker.start` and `Tracker.sweep`.

    Args:
        on_finish: told once, when the run ends.
        owned: see below.
        is_ours: whether the run with an id was not taken over by another process.

    Attributes:
        owned: whether this process decides how the run ends; `finish` of one that only joined a
            sweep sends what is queued and leaves the status alone.
        known: (name, step) of metrics that the store has of an earlier process; they are not
            recorded again.
        spent: of a sweep, seconds of wall time that earlier commands have worked on it.
        stack: id of the run that has what this one shares with its stack; empty if it shares none.
    """

    def __init__(
        self,
        run_id: str,
        outbox: Outbox,
        on_finish: Callable[["RunRecord"], None],
        *,
        name: str,
        owned: bool = True,
        is_ours: Callable[[str], bool] = lambda run_id: True,
    ) -> None:
        self.id = run_id
        self.name = name
        self.finished = False
        self.known: set[tuple[str, int]] = set()
        self.spent = 0.0
        self.stack = ""
        self._outbox = outbox
        self.owned = owned
        self._on_finish = on_finish
        self._is_ours = is_ours
        self._lost = False

    @property
    def lost(self) -> bool:
        """Whether another process has taken the run over: this one then records no more of it."""
        if self.owned:
            with suppress(Exception):  # the store is away: nobody knows
                self._lost = not self._is_ours(self.id)
            self.owned = not self._lost
        return self._lost

    def metrics(self, values: Mapping[str, float], step: int, time: int | None = None) -> None:
        """Queue metrics of one step; they are sent in batches by a thread.

        `time` is in milliseconds since 1970, if not now. NaN is kept as NaN. MLflow's databases
        hold an infinity as +-1.8e308, which `Tracker.runs` and `Tracker.histories` turn back.
        """
        moment = now() if time is None else time
        for name, value in values.items():
            key = names.safe(name)
            if (key, step) not in self.known:
                self._put(delivery.metric(key, float(value), int(step), moment))

    def summary(self, values: Mapping[str, float]) -> None:
        """Queue metrics of the whole run, such as `test/accuracy`, at step 0.

        The UI draws that as bars; at any other step it draws a line through single points.
        """
        self.metrics(values, step=0)

    def tags(self, values: Mapping[str, object]) -> None:
        """Queue tags."""
        for name, value in values.items():
            self._put(delivery.tag(name, names.text(value)))

    def text(self, content: str, name: str) -> None:
        """Queue a text that becomes the artifact `name`, such as `config.yaml`."""
        self._put(delivery.text(content, name))

    def artifact(self, path: Path | str, folder: str = "") -> None:
        """Store a file or folder as an artifact; it may be deleted as soon as this returns.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: neither the store nor the disk took it.
        """
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"no artifact to record at {path}")
        self._outbox.store(self.id, self._marked(delivery.file(path, folder)))

    def wall_seconds(self, seconds: float) -> float:
        """Queue for how long this command has worked on the sweep; called again, the last counts.

        Returns:
            The wall time of all its commands.
        """
        whole = self.spent + seconds
        self.tags({WALL_SECONDS: whole})
        return whole

    def note(self, markdown: str) -> None:
        """Set the description that the UI shows on the run's page."""
        self.tags({"mlflow.note.content": markdown})

    def finish(self, status: Status = "FINISHED", reason: str = "") -> None:
        """End the run after everything queued was sent (or put on disk); only once.

        Args:
            status: FINISHED, FAILED (an error), KILLED (a person or a signal ended it) or SCHEDULED
                (a batch system ended its job and starts it again).
            reason: kept as the tag `reason`.
        """
        if self.finished:
            return
        if self.owned and not self.lost:
            if reason:
                self.tags({"reason": public(reason)})
            self._outbox.put(self.id, delivery.status(status, now()))
        self._outbox.drain()
        self.finished = True
        self._on_finish(self)

    def _put(self, record: Record) -> None:
        self._outbox.put(self.id, self._marked(record))

    def _marked(self, record: Record) -> Record:
        """A record, which is anybody's where the run is not this process's."""
        return record if self.owned else record | delivery.ANYBODY


_last = 0


def now() -> int:
    """Milliseconds since 1970; in one process it never goes back, though the clock may.

    Then it counts on, so that what comes later is still seen to.
    """
    global _last
    clock = int(time.time() * 1000)
    _last = clock if clock >= _last else _last + 1
    return _last
