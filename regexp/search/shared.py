"""One search by several processes: each trains the jobs that no other is training.

All of them walk the same rounds. A job is locked while a process trains it; the system takes the
lock back when that process ends, however it does, and whoever waits for it trains what is missing.
So the runs, and what follows from them, are those of one process.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from regexp.config.collector import keep_imports
from regexp.sweeps.job import train
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking import TakenError, Tracker


@dataclass(frozen=True)
class Shared:
    """Trains the jobs of a sweep beside others that do.

    Attributes:
        config: of the sweep.
        tracker: records the runs.
        sweep_id: of the parent run.
    """

    config: DictConfig
    tracker: Tracker
    sweep_id: str

    def __call__(self, jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        """What became of the runs of each job, whoever trained them; see `engine.Train`."""
        keep_imports()  # what trains for hours leaves garbage
        outcomes: dict[int, list[Outcome]] = {}
        # first what nobody trains, then what others have trained, or left, or taken over
        waits: Callable[[str], object] | None = None
        while left := [number for number in range(len(jobs)) if number not in outcomes]:
            for number in left:
                try:
                    with self.tracker.alone(f"{self.sweep_id}-{_name(jobs[number])}", waits):
                        outcomes[number] = self._train(jobs[number])
                except TakenError:
                    continue
            waits = _quietly
        return [outcomes[number] for number in range(len(jobs))]

    def _train(self, job: Sequence[PlannedRun]) -> list[Outcome]:
        return train(job, self.config, self.tracker, self.sweep_id)


def _quietly(who: str) -> None:
    """Wait for another without a word."""


def _name(job: Sequence[PlannedRun]) -> str:
    """Of a job, the same in every process."""
    fingerprints = json.dumps([run.fingerprint for run in job])
    return hashlib.sha256(fingerprints.encode()).hexdigest()[:16]
