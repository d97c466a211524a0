"""`dry_run=true`: what a command would train, what of it is finished, and how long it may take.

Nothing is written: the store is only read, if there is one, and the time is measured by training
two epochs of each job into the void.
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from regexp.cli import Sweep, written
from regexp.sweep import key_of, plan_all, repeats

# Beyond this many seconds of measuring, further jobs are taken to be like the ones before.
PATIENCE = 15.0


@dataclass(frozen=True)
class Row:
    """One job of the plan.

    Attributes:
        job: its number, from 0.
        technique: its techniques joined with "+".
        overrides: what it has of the swept keys.
        runs: how many runs it has; 0 if an earlier job has them all.
        finished: how many of them the store has already.
        seconds: that the others may take; None where it cannot be measured.
    """

    job: int
    technique: str
    overrides: str
    runs: int
    finished: int
    seconds: float | None


def show(sweep: Sweep) -> None:
    """Print the table of a sweep's jobs and the runs of each."""
    if not sweep.jobs:
        print("The sweeper chooses its jobs one after another: they cannot be listed before.")
        return
    rows = rows_of(sweep)
    terminal = sys.stdout.isatty()
    # Where no terminal cuts the lines, they are as long as they must be.
    console = Console() if terminal else Console(width=10_000)
    table = Table(box=box.HEAVY_HEAD if terminal else None, pad_edge=terminal)
    for title in ("job", "technique", "runs", "finished", "to run", "time", "swept"):
        numeric = title in ("job", "runs", "finished", "to run", "time")
        table.add_column(title, justify="right" if numeric else "left")
    for row in rows:
        cells = (
            row.job + 1,
            row.technique,
            row.runs,
            row.finished,
            row.runs - row.finished,
            _duration(row.seconds),
            row.overrides,
        )
        # Text, because a list in brackets would be read as markup.
        table.add_row(*(Text(str(cell)) for cell in cells))
    console.print(table)
    total = sum(row.runs for row in rows)
    left = total - sum(row.finished for row in rows)
    known = [row.seconds for row in rows if row.seconds is not None]
    seconds = sum(known) if len(known) == len(rows) else None
    print(
        f"{len(rows)} jobs, {total} runs: {total - left} finished, {left} to run in about "
        f"{_duration(seconds)}, one job after another (less where training stops early). "
        "Nothing was written."
    )


def rows_of(sweep: Sweep) -> list[Row]:
    """The rows of the table, one a job."""
    planned = plan_all(sweep.jobs)
    done = finished(sweep.config, key_of(sweep, planned))
    again = repeats(planned)
    clock = Stopwatch()
    rows = []
    for number, (job, runs) in enumerate(zip(sweep.jobs, planned, strict=True)):
        own = 0 if number in again else len(runs)
        ready = sum(run.fingerprint in done for run in runs) if own else 0
        seconds: float | None = 0.0
        if ready < own:
            whole = clock.seconds(job.config)
            seconds = None if whole is None else whole * (own - ready) / own
        told = [one for one in job.overrides if one.lstrip("+").partition("=")[0] in sweep.swept]
        remark = f" (the runs of job {again[number] + 1})" if number in again else ""
        rows.append(Row(number, job.technique, written(told) + remark, own, ready, seconds))
    return rows


def finished(config: DictConfig, key: str) -> set[str]:
    """Fingerprints of the sweep's runs that are in the store already; the store is only read."""
    from regexp.tracking.peek import peek

    tracking = config.tracking
    return peek(tracking.uri, tracking.experiment, Path(config.paths.mlruns), key)


class Stopwatch:
    """Measures how long jobs take, for as long as its patience lasts."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.measured: list[float] = []
        self.warm = False

    def seconds(self, config: DictConfig) -> float | None:
        """An estimate for all runs of one job; None if it cannot be trained for two epochs."""
        if self.patience <= 0 and self.measured:
            return sum(self.measured) / len(self.measured)
        if not self.warm:  # what is imported and compiled once is not to be counted
            self.warm = True
            _train(config, 1)
        short, long = _train(config, 1), _train(config, 3)
        if short is None or long is None:
            return None
        estimate = short + max(long - short, 0.0) / 2 * (config.trainer.epochs - 1)
        self.patience -= short + long
        self.measured.append(estimate)
        return estimate


class Void:
    """Takes the place of the tracker and of its records: swallows whatever it is given."""

    id = "void"

    def finished(self, sweep_id: str) -> dict[str, str]:
        """No run is finished."""
        return {}

    def start(self, *args: Any, **kwargs: Any) -> "Void":
        """A record, which swallows too."""
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def _train(config: DictConfig, epochs: int) -> float | None:
    """Seconds that a job of so few epochs takes; None if it fails."""
    from regexp.job import train

    short = config.copy()
    short.trainer.epochs = min(epochs, config.trainer.epochs)
    began = time.perf_counter()
    try:
        outcomes: Sequence[Any] = train(short, Void(), "void")  # type: ignore[arg-type]
    except Exception:
        return None
    if any(outcome.status != "FINISHED" for outcome in outcomes):
        return None
    return time.perf_counter() - began


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
