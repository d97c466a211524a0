"""What a job tells about itself: lines in the terminal, and a report for the sweep's process."""

import math
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig

from regexp.config import grid_of, seeds_of


@dataclass
class Report:
    """What became of one job.

    Attributes:
        number: of the job, from 0.
        technique: the job's techniques joined with "+".
        outcomes: one dict a run: name, status, reason, metrics.
        reason: why the job itself failed; empty if it did not.
        seconds: wall time.
    """

    number: int
    technique: str
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""
    seconds: float = 0.0

    @property
    def failures(self) -> list[tuple[str, str]]:
        """(name, reason) of the job if it failed, and of each of its runs that did."""
        failed = [(self.technique, self.reason)] if self.reason else []
        return failed + [
            (str(outcome["name"]), str(outcome["reason"]) or str(outcome["status"]))
            for outcome in self.outcomes
            if outcome["status"] != "FINISHED"
        ]


def size(config: DictConfig) -> str:
    """How many runs a job has: "10 runs"."""
    runs = len(seeds_of(config)) * math.prod(map(len, grid_of(config).values()))
    return f"{runs} run{'s' if runs != 1 else ''}"


def result(report: Report) -> str:
    """One line on a job: its test metric with the spread over runs, its time, its failures."""
    parts = []
    if report.outcomes and not report.failures and not any(o["metrics"] for o in report.outcomes):
        return "finished before"
    for name in ("test/accuracy", "test/rmse", "test/loss"):
        values = [
            float(outcome["metrics"][name])
            for outcome in report.outcomes
            if name in outcome["metrics"] and outcome["status"] == "FINISHED"
        ]
        if values:
            mean = sum(values) / len(values)
            spread = (sum((v - mean) ** 2 for v in values) / max(len(values) - 1, 1)) ** 0.5
            deviation = f" ± {spread:.3f}" if len(values) > 1 else ""
            parts.append(f"{name.replace('/', ' ')} {mean:.3f}{deviation}")
            break
    parts.append(f"{report.seconds:.1f} s")
    if report.failures:
        parts.append(f"{len(report.failures)} FAILED ({report.failures[0][1].splitlines()[0]})")
    return ", ".join(parts)
