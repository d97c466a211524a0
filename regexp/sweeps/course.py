"""A sweep on its way: its jobs launched, all of them once or seed by seed until it is decided."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.addresses import print_traceback, public
from regexp.config import plan_file
from regexp.config.collector import keep_imports
from regexp.config.jobs import Sweep
from regexp.config.launching import launch
from regexp.errors import NotApplicable
from regexp.sweeps import progress, rounds
from regexp.sweeps.launched import Order, config_of, do, job, plan_of
from regexp.sweeps.launchers import Jobs, starter
from regexp.sweeps.progress import say
from regexp.sweeps.time_left import Work, write_work
from regexp.tracking.sweeps import LAUNCHED

if TYPE_CHECKING:
    from regexp.sweeps.planned_run import PlannedRun
    from regexp.tracking import Earlier, RunRecord, Tracker


@dataclass
class Course:
    """A sweep on its way.

    Attributes:
        sweep: composed and checked.
        planned: the runs of each job.
        left_out: why some jobs have none.
        known: which of the runs exist already, by fingerprint.
        parent: the sweep's own run.
        tracker: of the store.
        folder: of the command's files.
        failures: (name, reason) of what did not finish.
        broken: whether a launcher or sweeper broke.
        uncompared: whether its runs could not be compared, as the store or the disk failed.
        seeds: of a sweep that stops when it is decided, how many it has come to.
    """

    sweep: Sweep
    planned: Sequence[Sequence[PlannedRun]]
    left_out: Mapping[int, NotApplicable]
    known: Mapping[str, Earlier]
    parent: RunRecord
    tracker: Tracker
    folder: Path
    failures: list[tuple[str, str]] = field(default_factory=list)
    broken: bool = False
    uncompared: bool = False
    seeds: int = 0


def run(course: Course, looks: Sequence[int]) -> None:
    """Launch the jobs of a sweep: all of them once, or seed by seed until it is decided.

    Args:
        course: of the sweep; what comes of it is noted there.
        looks: how many seeds there are at each look; none where seeds are given.
    """
    if not looks:
        _launch(course, course.planned, course.folder)
        return
    from regexp.compare import Question

    asked = Question.read(course.sweep.config.compare)
    closed: set[rounds.Point] = set()
    told: list[str] = []
    for seeds in looks:
        part = rounds.of_round(course.planned, range(course.seeds, seeds), closed)
        if not any(part):
            return
        place = course.folder if not course.seeds else course.folder / f"{seeds}_seeds"
        _launch(course, part, place)
        course.seeds = seeds
        if course.broken or seeds == looks[-1]:
            return
        seen = rounds.look(course.tracker, course.parent.id, asked, part, seeds)
        closed |= seen.closed
        told += seen.lines
        rounds.keep(course.parent, seen.spending, told)
        for line in seen.lines:
            say(line)


def _launch(course: Course, planned: Sequence[Sequence[PlannedRun]], folder: Path) -> None:
    """Launch the jobs that have runs, and those of which it is to be said why they have none."""
    from regexp.sweeps.planned_run import key_of_job

    sweep, plans = course.sweep, folder / "plans"
    order = Order(course.parent.id, len(sweep.jobs), list(sweep.swept), str(plans.absolute()))
    first = folder == course.folder
    numbers = [n for n, runs in enumerate(planned) if runs or first]
    busy = _with_work(planned, course.known)
    causes: dict[int, str] = {}
    try:
        launched = [n for n in numbers if n in busy] if sweep.multirun else numbers
        files = _write_plans(course, plans, planned, order, numbers, launched)
        if sweep.jobs:
            sweep = replace(sweep, jobs=tuple(sweep.jobs[number] for number in launched))
        jobs = Jobs(
            files,
            [key_of_job(planned[number]) for number in launched],
            Path(course.sweep.config.paths.mlruns) / LAUNCHED / f"{course.parent.id}.json",
            len(course.sweep.jobs),
            course.sweep.config.compare.metric,
            course.sweep.config.launch.retries,
            course.sweep.config.launch.jobs_per_task,
            causes,
        )
        keep_imports()
        if files:
            launch(sweep, job, folder, files, starter(jobs))
    except Exception as error:  # a launcher or sweeper broke; what jobs did is kept
        course.broken = True
        say(f"The launcher stopped: {type(error).__name__}: {public(str(error))}")
        if sweep.config.debug:
            print_traceback(error)
    course.failures += progress.failures_of(course.sweep, plans, numbers, causes)


def _write_plans(
    course: Course,
    folder: Path,
    planned: Sequence[Sequence[PlannedRun]],
    order: Order,
    numbers: Sequence[int],
    launched: Collection[int],
) -> list[Path]:
    """Write the plan of every job that is launched, and do those that have nothing to train.

    Args:
        course: of the sweep.
        folder: of the plans.
        planned: the runs of each job.
        order: of the sweep.
        numbers: of the jobs.
        launched: those of them that are.

    Returns:
        The files of those that are launched; of a sweep whose jobs only the sweeper knows, one for
        all.
    """
    jobs = course.sweep.jobs
    if not jobs or not launched:  # a file tells `regexp delete` whose folder it is
        plan_file.write(folder / "sweep.yaml", {"order": vars(order), "cwd": str(Path.cwd())})
    if not jobs:
        return [folder / "sweep.yaml"]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, content in _plans(course, folder, planned, order, numbers):
        if number in launched:
            path = folder.absolute() / f"{number}.yaml"
            plan_file.write(path, content | {"config": config_of(jobs[number], path)})
            files.append(path)
        else:
            do(jobs[number].config, content, idle=True)
    return files


def _plans(
    course: Course,
    folder: Path,
    planned: Sequence[Sequence[PlannedRun]],
    order: Order,
    numbers: Sequence[int],
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and plan of each job, once it is written down how much all have to do."""
    from regexp.sweeps.planned_run import repeats

    again, known = repeats(planned), course.known
    left = [[run for run in runs if not _ended(run, known)] for runs in planned]
    write_work(folder, [Work.of(() if n in again else runs) for n, runs in enumerate(left)])
    for number in numbers:
        yield number, plan_of(
            order, number, course.sweep.jobs[number], planned[number], known,
            repeated=again.get(number), applies=number not in course.left_out,
        )  # fmt: skip


def _with_work(
    planned: Sequence[Sequence[PlannedRun]], known: Mapping[str, Earlier]
) -> Collection[int]:
    """The numbers of the jobs that have something to train."""
    from regexp.sweeps.planned_run import repeats

    again = repeats(planned)
    # of trials that have all ended, the runs that follow may be left
    return [
        number
        for number, runs in enumerate(planned)
        if number not in again and any(run.trial_for or not _ended(run, known) for run in runs)
    ]


def _ended(run: PlannedRun, known: Mapping[str, Earlier]) -> bool:
    return run.fingerprint in known and known[run.fingerprint].ended
