"""`dry_run=true`: what a command would train, what of it is finished, and how long it may take.

Nothing is written: the store is only read, if there is one, and the time is measured by training
a few epochs of some runs of each job into the void.
"""

import contextlib
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from regexp.compare.show import show_columns
from regexp.config.jobs import Sweep
from regexp.config.values import copied, grid_of
from regexp.errors import ConfigError, NotApplicable, count, kind_and_reason, printable
from regexp.sweeps.plan import plan_all
from regexp.sweeps.planned_run import PlannedRun, key_of, repeats
from regexp.sweeps.progress import remark_lines, unswept_lines, varied
from regexp.sweeps.question import check_question
from regexp.sweeps.rounds import least_and_most, looks_of
from regexp.tracking import Earlier

if TYPE_CHECKING:
    import torch

    from regexp.stack.member import Member

# Beyond this many seconds of measuring, further jobs are taken to be like the ones before.
PATIENCE = 4.0
# Of a job so many epochs are trained, of so many runs: of fewer, each would take longer.
EPOCHS = 3
RUNS = 64


@dataclass(frozen=True)
class Row:
    """One job of the plan.

    Attributes:
        job: its number, from 0.
        technique: its techniques joined with "+".
        varied: what beside the technique the sweep varies in it; a remark if it is not run, or why
            its time cannot be measured.
        trials: how many of its runs are trials of a search.
        runs: how many runs it has; 0 if an earlier job has them all.
        finished: how many of them the store has already.
        seconds: that the others may take; None where it cannot be measured.
    """

    job: int
    technique: str
    varied: str
    trials: int
    runs: int
    finished: int
    seconds: float | None


def show_dry_run(sweep: Sweep) -> None:
    """Print the table of a sweep's jobs and the runs of each."""
    if not sweep.jobs:
        print("The sweeper chooses its jobs one after another: they cannot be listed before.")
        return
    planned, left_out = plan_all(sweep.jobs)
    check_question(sweep, planned)
    for line in [*unswept_lines(sweep), *remark_lines(planned)]:
        print(line)
    rows = rows_of(sweep, planned, left_out)
    head = ["job", "technique", "trials", "runs", "finished", "to run", "time", "swept"]
    cells = [
        [
            str(row.job + 1),
            row.technique,
            str(row.trials),
            str(row.runs),
            str(row.finished),
            str(row.runs - row.finished),
            _duration(row.seconds),
            row.varied,
        ]
        for row in rows
    ]
    for name, needed in (
        ("trials", any(row.trials for row in rows)),
        ("swept", any(row.varied for row in rows)),
    ):
        if not needed:
            at = head.index(name)
            head, cells = head[:at] + head[at + 1 :], [row[:at] + row[at + 1 :] for row in cells]
    show_columns(head, cells, texts=("technique", "swept"), file=sys.stdout)
    total = sum(row.runs for row in rows)
    left = total - sum(row.finished for row in rows)
    known = [row.seconds for row in rows if row.seconds is not None]
    seconds = sum(known) if len(known) == len(rows) else None
    runs = count(total, "run")
    if looks := looks_of(sweep):
        least, most = least_and_most(planned, looks)
        runs = f"at least {least} and at most {count(most, 'run')}, told as the most"
    print(
        f"{count(len(rows), 'job')}, {runs}: {total - left} finished, "
        f"{left} to run in {_about(seconds)} of training, one job after another (less "
        "where it stops early), and about a second a job for the rest. Nothing was written."
    )


def _about(seconds: float | None) -> str:
    return "an unknown time" if seconds is None else f"about {_duration(seconds)}"


def rows_of(
    sweep: Sweep, planned: Sequence[Sequence[PlannedRun]], left_out: Mapping[int, NotApplicable]
) -> list[Row]:
    """The rows of the table, one a job.

    Args:
        sweep: composed and checked.
        planned: the runs of each job.
        left_out: why some jobs have none.
    """
    runs_of_all = [run for runs in planned for run in runs]
    reuse, auto = sweep.config.reuse, bool(looks_of(sweep))
    named = [job.setting for job in sweep.jobs]
    key = key_of(planned, sweep.command, named, reuse=reuse, auto=auto)
    earlier = earlier_of(sweep.config, key, runs_of_all)
    ended = {fingerprint for fingerprint, one in earlier.items() if one.ended}
    again = repeats(planned)
    clock = Stopwatch()
    rows = []
    for number, (job, runs) in enumerate(zip(sweep.jobs, planned, strict=True)):
        trials = sum(bool(run.trial_for) for run in runs)
        asked: list[PlannedRun | None] = [*runs]
        if number in again:
            asked, trials = [], 0
        elif trials:
            asked += after(job.config, runs, earlier)
        own = len(asked)
        ready = sum(run is not None and run.fingerprint in ended for run in asked)
        seconds: float | None = 0.0
        told = varied(job.config, job.overrides, sweep.swept)
        if ready < own:
            try:
                seconds = clock.seconds(job.config) * (own - ready)
            except UnmeasuredError as why:
                seconds, told = None, f"{told} ({printable(str(why))})".lstrip()
        if number in left_out:
            error = left_out[number]
            told = f"{told} ({error.key}: {error.problem})".lstrip()
        if number in again:
            told = f"{told} (the runs of job {again[number] + 1})".lstrip()
        rows.append(Row(number, job.technique, told, trials, own, ready, seconds))
    return rows


def after(
    config: DictConfig, trials: Sequence[PlannedRun], earlier: Mapping[str, Earlier]
) -> list[PlannedRun | None]:
    """The runs that follow from a job's trials; None for each as long as not all have ended."""
    from regexp.sweeps.outcome import chosen_numbers, ended_before
    from regexp.sweeps.plan import plan

    done = ended_before(trials, earlier)
    if len(done) == len(trials):
        with contextlib.suppress(ConfigError):  # all diverged
            return [
                *plan(config, chosen_numbers(config, [done[one.fingerprint] for one in trials]))
            ]
    return [None] * len(trials[0].trial_for)


def earlier_of(config: DictConfig, key: str, runs: Sequence[PlannedRun]) -> dict[str, Earlier]:
    """What the store has of a sweep's runs; it is only read."""
    from regexp.sweeps.reuse import choose, search
    from regexp.tracking.stored import known_sweep

    tracking = config.tracking
    where = tracking.uri, tracking.experiment, Path(config.paths.mlruns)
    sweep_id, tries = known_sweep(*where, key, afresh=not config.reuse)
    return choose(search(tries, runs), sweep_id, runs, reuse=config.reuse)


class UnmeasuredError(Exception):
    """Runs of a job cannot be trained for some epochs; the message says why, in a line."""


class Stopwatch:
    """Measures how long the runs of jobs take, for as long as its patience lasts."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self.measured: list[float] = []
        self.warm = False

    def seconds(self, config: DictConfig) -> float:
        """An estimate for each planned run of a job.

        Raises:
            UnmeasuredError: they cannot be trained.
        """
        if self.patience <= 0 and self.measured:
            return sum(self.measured) / len(self.measured)
        if not self.warm:  # what is imported and compiled once is not to be counted
            _seconds_a_run(config)
            self.warm = True
        began = time.perf_counter()
        estimate = _seconds_a_run(config)
        self.patience -= time.perf_counter() - began
        self.measured.append(estimate)
        return estimate


def _seconds_a_run(config: DictConfig) -> float:
    """What the first epochs of some runs of a job tell of how long one takes.

    Raises:
        UnmeasuredError: they cannot be trained.
    """
    from regexp.sweeps.ingredients import build_member
    from regexp.sweeps.plan import plan
    from regexp.sweeps.stacks import at_once, group_by_structure
    from regexp.training.device import device_settings

    short, by_grid = copied(config), "trainer.epochs" in grid_of(config)
    if not by_grid:
        short.trainer.epochs = min(EPOCHS, config.trainer.epochs)
    try:
        runs = plan(short)
    except ConfigError as error:  # such as a schedule that needs more epochs
        raise UnmeasuredError(f"not measured in {short.trainer.epochs} epochs: {error}") from error
    if config.launch.elsewhere and config.trainer.device != "cpu":
        raise UnmeasuredError("not measured: the launcher lends the GPU")
    runs = runs[:: math.ceil(len(runs) / RUNS)]
    seconds = 0.0
    with device_settings(runs[0].config["trainer"]) as device:
        members = [build_member(run) for run in runs]
        for part in group_by_structure(runs, members, runs[0].config["stack"]):
            ours, of_part = [members[index] for index in part], [runs[index] for index in part]
            together = at_once(ours, of_part, device)  # the others take as long after them
            planned = of_part[0].config["trainer"]["epochs"]
            epochs = planned if by_grid else config.trainer.epochs
            taken = _seconds_of(ours[:together], of_part, device, epochs, min(EPOCHS, planned))
            seconds += taken * len(part) / together
    return seconds / len(runs)


def _seconds_of(
    members: "list[Member]",
    runs: Sequence[PlannedRun],
    device: "torch.device",
    epochs: int,
    some: int,
) -> float:
    """What a stack takes for all its epochs, by some that it is trained.

    Args:
        members: of the stack.
        runs: those of its part.
        device: where it trains.
        epochs: all of them.
        some: as many as are trained.

    Raises:
        UnmeasuredError: it cannot be trained.
    """
    from regexp.sweeps.stacks import stack_maker
    from regexp.training.loop import train

    ends: dict[int, float] = {}

    def report(run: int, epoch: int, metrics: dict[str, float]) -> None:
        ends[epoch] = time.perf_counter()

    try:
        stack = stack_maker(runs, device)(members)
        began = time.perf_counter()
        results = train(stack, some, report, way=runs[0].config["trainer"]["step"])
    except Exception as error:  # of a network or technique of the user's own, or no memory is left
        told = kind_and_reason(error)
        raise UnmeasuredError(f"training raised {told}") from error
    for result in results:
        if result.status != "FINISHED":
            raise UnmeasuredError(result.reason)
    taken = time.perf_counter() - began
    first, last = min(ends), max(ends)
    if last > first:
        taken += (ends[last] - ends[first]) / (last - first) * (epochs - last)
    return taken


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
