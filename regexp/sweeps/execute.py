"""A command's jobs from the first plan to the last table: one parent run, Hydra's own launcher.

Every job is planned once, here, before the first starts; it finds its runs in a file that its
configuration names. A job never takes the sweep with it: whatever fails in it is caught, reported
and, where a run had begun, recorded as FAILED with the reason. Each job leaves a small report
beside its plan, so that the process that began the sweep knows of it under every launcher, even
when the job's own process was killed.
"""

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from regexp.config.jobs import Sweep, written
from regexp.config.values import plain
from regexp.errors import INTERRUPTED, ConfigError, NotApplicable
from regexp.sweeps import progress, rounds
from regexp.sweeps.course import Course, run
from regexp.sweeps.launched import shared_tracker
from regexp.sweeps.present import present, present_once
from regexp.sweeps.progress import say

if TYPE_CHECKING:
    from regexp.compare.report import ComparisonReport
    from regexp.sweeps.illustrate import Drawn
    from regexp.sweeps.planned_run import PlannedRun
    from regexp.sweeps.yardsticks import Yardstick
    from regexp.tracking import RunRecord

Then = Callable[["ComparisonReport", float], None]
"""`then(report, seconds)` is called when a sweep has been presented, with the wall time that all
commands together have spent on it."""


UNKEPT = ("lengths", "launch", "paths", "tracking")
"""Parts of the configuration that are none of a sweep's settings: they differ from job to job, and
from machine to machine."""


@dataclass(frozen=True)
class Execution:
    """What became of a sweep.

    Attributes:
        sweep_id: of its parent run.
        failed: whether a run or job failed, or something could not be recorded.
    """

    sweep_id: str
    failed: bool


def execute(sweep: Sweep, then: Then | None = None) -> int:
    """Run a sweep to its end as `run_sweep` does, and return the exit status.

    Returns:
        0 if every run finished, 130 after Ctrl-C, else 1.
    """
    try:
        return 1 if run_sweep(sweep, then).failed else 0
    except KeyboardInterrupt:
        return INTERRUPTED


def run_sweep(sweep: Sweep, then: Then | None = None) -> Execution:
    """Run a sweep to its end, and print what came of it.

    Args:
        sweep: composed and checked.
        then: does more with what came of it; without, what was compared before is shown again if
            it would be the same.

    Raises:
        ConfigError: what only the data can tell is wrong; nothing was written.
        TrackingError: the store of runs cannot be used.
        KeyboardInterrupt: Ctrl-C, which has been told of.
        Terminated: a signal asked the process to end.
    """
    from regexp.sweeps.hosts import other_hosts
    from regexp.sweeps.plan import plan_all
    from regexp.sweeps.question import check_question
    from regexp.sweeps.workers import start_importing
    from regexp.sweeps.yardsticks import planned_yardsticks
    from regexp.tracking import Terminated
    from regexp.tracking.mounts import check_one_machine

    config = sweep.config
    others = other_hosts(sweep.master.hydra.launcher)
    check_one_machine(config.tracking.uri, Path(config.paths.mlruns), others)
    start_importing(sweep.master, len(sweep.jobs))
    looks = rounds.looks_of(sweep)
    planned, left_out = plan_all(sweep.jobs)
    sweep = _told_apart(sweep, planned)
    check_question(sweep, planned)
    _check_folder(sweep)
    sticks = planned_yardsticks(sweep.config, planned)
    for line in [*progress.unswept_lines(sweep), *progress.left_out_lines(sweep, left_out),
                 *progress.remark_lines(planned)]:  # fmt: skip
        say(line)
    try:
        return _execute(sweep, planned, left_out, looks, sticks, then)
    except (KeyboardInterrupt, Terminated):
        # By now the tracker has ended the runs as KILLED, which takes the exception to tell.
        say("\nInterrupted. The same command again goes on from here.")
        raise


def _check_folder(sweep: Sweep) -> None:
    """Refuse a folder of Hydra's for a sweep that cannot be made, as Hydra makes it at the launch.

    Raises:
        ConfigError: it cannot.
    """
    folder = Path(sweep.master.hydra.sweep.dir)
    if not sweep.multirun or folder.is_relative_to(sweep.config.paths.mlruns):  # see the tracker
        return
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        why = "may not be written to" if there.is_dir() else "is no folder"
        raise ConfigError(
            f"it cannot be made, as {there} {why}",
            key=f"hydra.sweep.dir={folder}",
            cure="give another folder",
        )


def _told_apart(sweep: Sweep, planned: Sequence[Sequence["PlannedRun"]]) -> Sweep:
    """The sweep, with the choice of a dataset in the settings of jobs whose data are called alike.

    A comparison knows data by their name: of two choices that read one file it would show one.
    """
    chosen: dict[str, set[str]] = {}
    for job, runs in zip(sweep.jobs, planned, strict=True):
        for first in runs[:1]:
            chosen.setdefault(first.dataset, set()).add(str(job.choices.get("dataset")))
    jobs = [
        replace(job, setting=", ".join(filter(None, (f"dataset={choice}", job.setting))))
        if runs and len(chosen[runs[0].dataset]) > 1 and (choice := job.choices.get("dataset"))
        else job
        for job, runs in zip(sweep.jobs, planned, strict=True)
    ]
    return replace(sweep, jobs=tuple(jobs))


def _execute(
    sweep: Sweep,
    planned: Sequence[Sequence["PlannedRun"]],
    left_out: Mapping[int, NotApplicable],
    looks: Sequence[int],
    sticks: tuple[Sequence["Yardstick"], Sequence[str]],
    then: Then | None,
) -> Execution:
    """Run a planned sweep and print what came of it."""
    from regexp.sweeps.planned_run import key_of
    from regexp.sweeps.reuse import choose, existing_lines, search
    from regexp.sweeps.workers import each
    from regexp.sweeps.yardstick_runs import record_yardsticks
    from regexp.tracking import interruptible
    from regexp.tracking.lifecycle import COMPLETE

    began = time.monotonic()
    name = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{uuid.uuid4().hex[:8]}"
    folder = Path(sweep.config.paths.mlruns) / "hydra" / name
    status: Literal["FINISHED", "FAILED"]
    parent: RunRecord | None = None
    by_workers = each(sweep.master, len(sweep.jobs))
    pictures: Iterable[Drawn] = ()
    if sweep.config.figures:
        from regexp.sweeps.illustrate import drawn

        pictures = drawn(planned, by_workers)
    # A signal or Ctrl-C leaves these blocks as an exception; the tracker then ends its runs.
    with interruptible(), shared_tracker(sweep.config) as tracker:
        try:
            settings = {"command": written(sweep.command), **settings_of(sweep)}
            reuse = sweep.config.reuse
            named = [job.setting for job in sweep.jobs]
            key = key_of(planned, sweep.command, named, reuse=reuse, auto=bool(looks))
            parent = tracker.sweep(key, sweep.name, settings, afresh=not reuse)
            runs = [run for runs in planned for run in runs]
            known = choose(search(tracker.tries, runs), parent.id, runs, reuse=reuse)
            for line in existing_lines(planned, known, parent.id, auto=bool(looks)):
                say(line)
            if sweep.config.figures and parent.owned:
                from regexp.sweeps.illustrate import illustrate

                illustrate(pictures, parent, say)
            course = Course(sweep, planned, left_out, known, parent, tracker, folder)
            run(course, looks)
            tracker.own(parent, lambda who: say(f"waits for {who}, which ends the same sweep"))
            with _tolerant(course), tracker.asking_once():
                fits = [one for one in sticks[0] if not looks or one.seed < course.seeds]
                record_yardsticks(fits, sticks[1], tracker, parent, reuse=reuse, each=by_workers)
            with _tolerant(course):
                if then is None:
                    present_once(tracker, parent, sweep.config, by_workers)
                elif reported := present(tracker, parent, sweep.config, by_workers):
                    then(reported, parent.wall_seconds(time.monotonic() - began))
            for line in [*progress.best_line(folder), *progress.failure_lines(course.failures)]:
                say(line)
            status = "FAILED" if course.failures or course.broken else "FINISHED"
            if not reuse:  # the same command trains anew once nothing is left to go on with
                now = choose(search(tracker.tries, runs), parent.id, runs, reuse=False)
                # of a search, what follows from its trials is not among them
                left = course.failures if any(run.trial_for for run in runs) else ()
                ended = all((one := now.get(run.fingerprint)) and one.ended for run in runs)
                if ended and not left:
                    parent.tags({COMPLETE: True})
            parent.finish(status, progress.failure_summary(course.failures))
        finally:
            if parent is not None and parent.owned:  # time counts, however the command ends
                parent.wall_seconds(time.monotonic() - began)
    failed = status == "FAILED" or course.uncompared or not tracker.left.nothing
    return Execution(parent.id, failed)


def settings_of(sweep: Sweep) -> dict[str, object]:
    """What the parent run keeps: the parts of the configuration that all jobs have alike."""
    configs = [job.config for job in sweep.jobs] or [sweep.config]
    first, *others = [plain(config, resolve=False) for config in configs]
    return {
        key: value
        for key, value in first.items()
        if key not in (*UNKEPT, "search") and all(other[key] == value for other in others)
    }


@contextlib.contextmanager
def _tolerant(course: Course) -> Iterator[None]:
    """Where the store or the disk fails in comparing, a line says so, and the runs are kept."""
    from regexp.tracking import StoreAwayError, TrackingError

    try:
        yield
    except (TrackingError, OSError) as error:
        course.uncompared = True
        why = error.why if isinstance(error, StoreAwayError) else error
        why = str(why).rstrip(".")
        say(f"\nThe runs cannot be compared now: {why}. The same command again compares them.")
