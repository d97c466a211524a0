"""How much of a sweep is done, and how long the rest may take.

Estimated from what its jobs have taken so far. A job's work is known before it starts: training
rows, over all epochs of all its runs. What a unit of work takes is the mean over the jobs of the
same data and network that have ended, else over all. Jobs that other processes or machines train
count through their reports, and as many jobs as train at once share what is left.
"""

import contextlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.errors import count

if TYPE_CHECKING:
    from regexp.sweeps.planned_run import PlannedRun

FILE = "work"
"""In the folder of plans: the work of every job."""

LEAST = 60.0
"""Seconds: a rest that is shorter is not told of, and between two lines of a job pass as many."""

BEGUN = ".begun"
"""Ends the name of the file by which a job tells that it trains, and in which process."""

LEFT = ".left"
"""Ends the name of the file by which a job tells that it was interrupted, and has recorded it."""

INTERRUPTED = "interrupted"
"""In the folder of plans: no job is to begin any more."""


@dataclass(frozen=True)
class Work:
    """The work of a job.

    Attributes:
        runs: how many; of a search its trials and those that follow.
        epochs: of all of them together.
        amount: training rows that they see.
        kind: jobs of one kind take about as long for a row.
    """

    runs: int = 0
    epochs: int = 0
    amount: float = 0.0
    kind: str = ""

    @classmethod
    def of(cls, planned: "Sequence[PlannedRun]") -> "Work":
        """The work of a job's runs; nothing where it has none to train."""
        if not planned:
            return cls()
        first = planned[0]
        each = [one.config for one in planned] + [first.config] * len(first.trial_for)
        rows = [one["lengths"]["steps"] * one["trainer"]["batch_size"] for one in each]
        epochs = [one["trainer"]["epochs"] for one in each]
        kind = f"{first.dataset} {first.config['model']['_target_']}"
        return cls(len(each), sum(epochs), sum(rows), kind)


def write_work(folder: Path, works: Sequence[Work]) -> None:
    """Write the work of a sweep's jobs, in their order."""
    (folder / FILE).write_text(json.dumps([asdict(work) for work in works]))


class TimeLeft:
    """The rest of a sweep as one process knows it.

    Args:
        folder: of the plans and reports.
        clock: monotonic, in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        try:
            text = (folder / FILE).read_text()
        except OSError:  # only the sweeper knows its jobs
            text = "[]"
        self._works = [Work(**work) for work in json.loads(text)]
        self._waiting = dict(enumerate(self._works))  # jobs without a report
        self._seconds: dict[str, float] = defaultdict(float)  # of the jobs that trained, by kind
        self._trained: dict[str, float] = defaultdict(float)  # their work, by kind
        self._at_once = 1
        self._job = -1

    def begin(self, job: int) -> None:
        """A job of this process begins to train."""
        self._job = job
        self._began = self._said = self._clock()
        self._epochs = self._epochs_said = 0
        if job in self._waiting:
            with contextlib.suppress(OSError):
                (self._folder / f"{job}{BEGUN}").write_text(str(os.getpid()))

    def advance(self, epochs: int) -> str:
        """Epochs of the job's runs were trained; once in a while how far it is, else nothing."""
        self._epochs += epochs
        now = self._clock()
        if now - self._began < 1:  # what a checkpoint has of them comes at once
            self._epochs_said = self._epochs
        work = self._waiting.get(self._job)
        if work is None or now - self._said < LEAST or self._epochs == self._epochs_said:
            return ""
        seconds = (now - self._said) / (self._epochs - self._epochs_said)  # an epoch of a run
        self._said, self._epochs_said = now, self._epochs
        self._look()
        own = max(work.epochs - self._epochs, 0) * seconds
        pace = {work.kind: seconds * work.epochs / work.amount} | self._paces()
        others = self._take([one for job, one in self._waiting.items() if job != self._job], pace)
        told = f"{self._epochs} of {count(work.epochs, 'epoch')}"
        return told + self._rest(max(own, (own + others) / self._at_once))

    def end(self) -> str:
        """How far the sweep is after a job of this process; nothing if hardly anything is left."""
        self._look()
        return self._rest(self._take(self._waiting.values(), self._paces()) / self._at_once)

    def _rest(self, seconds: float) -> str:
        if seconds < LEAST:
            return ""
        runs = sum(work.runs for work in self._works)
        done = runs - sum(work.runs for work in self._waiting.values())
        return f" · {done} of {count(runs, 'run')} · about {duration(seconds)} left"

    def _look(self) -> None:
        """Read the reports that have come since the last look, and see which jobs train now."""
        own = {self._job} - {-1}  # who collects jobs of a cluster trains none
        training = set(own)
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if not path.stem.isdecimal() or (job := int(path.stem)) not in self._waiting:
                    continue
                if path.suffix == ".json":
                    self._learn(self._waiting.pop(job), json.loads(path.read_text()))
                    training.discard(job)
                elif path.suffix == BEGUN:
                    training.add(job)
        self._at_once = max(1, len((training & self._waiting.keys()) | own))

    def _learn(self, work: Work, report: Mapping[str, Any]) -> None:
        """Count a job that has ended; what was found finished before took no time."""
        if work.amount and not all(outcome["before"] for outcome in report["outcomes"]):
            self._seconds[work.kind] += report["seconds"]
            self._trained[work.kind] += work.amount

    def _paces(self) -> dict[str, float]:
        """Seconds that a unit of work takes, by kind, as far as jobs have ended."""
        return {kind: self._seconds[kind] / amount for kind, amount in self._trained.items()}

    def _take(self, works: Iterable[Work], paces: Mapping[str, float]) -> float:
        """Seconds that jobs may take, one after another."""
        known = sum(self._trained.values())
        mean = sum(self._seconds.values()) / known if known else max(paces.values(), default=0.0)
        return sum(work.amount * paces.get(work.kind, mean) for work in works)


@lru_cache(maxsize=1)
def time_left(folder: str) -> TimeLeft:
    """Of the sweep whose plans are in the folder; one for all jobs of a process."""
    return TimeLeft(Path(folder))


def duration(seconds: float) -> str:
    """A time for people, as exact as an estimate may be: 40 s, 14 min, 3 h 20 min, 2 days 4 h."""
    if seconds < 59.5:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(5 * round(minutes / 5), 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(round(seconds / 3600), 24)
    return f"{count(days, 'day')} {hours} h" if hours else count(days, "day")
