"""A command's jobs from the first plan to the last table: one parent run, Hydra's own launcher.

Every job is planned before the first starts. A job never takes the sweep with it: whatever fails
in it is caught, reported and, where a run had begun, recorded as FAILED with the reason. Each job
leaves a small report in its folder of Hydra's, so that the process that began the sweep knows of
it under every launcher, even when the job's own process was killed.
"""

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from regexp.config.composition import CONFIG_NAME
from regexp.config.jobs import Job, Sweep, written
from regexp.config.schema import conf_folder, register
from regexp.config.search_space import check_swept
from regexp.config.strays import technique_of, with_setting, without_strays
from regexp.config.validation import validate
from regexp.errors import INTERRUPTED, ConfigError, NotApplicable
from regexp.metrics.names import RMSE_UNSCALED, VALIDATION_LOSS, column
from regexp.sweep import progress

if TYPE_CHECKING:
    from regexp.compare.report import ComparisonReport
    from regexp.sweep.outcome import Outcome
    from regexp.sweep.planned_run import PlannedRun
    from regexp.tracking import RunRecord, Tracker

# The parent's words to its jobs; environment variables reach them under every launcher.
ORDER = "REGEXP_SWEEP"  # an Order, as JSON
LAUNCH = "REGEXP_LAUNCH"  # conf/config.yaml names the folder of Hydra's files by it

# The tracker of the sweep, for jobs in the same process: opening another takes its time.
_tracker: "Tracker | None" = None


@dataclass(frozen=True)
class Order:
    """What a job has to know of its sweep.

    Attributes:
        sweep_id: of the parent run.
        jobs: how many the sweep has; 0 where only the sweeper knows.
        swept: the keys that differ from job to job.
        repeats: see `repeats`; numbers are text, for JSON has no others as keys.
        left_out: numbers of the jobs whose technique does not apply.
    """

    sweep_id: str
    jobs: int
    swept: Sequence[str]
    repeats: Mapping[str, int]
    left_out: Sequence[int]


def plan_all(jobs: Sequence[Job]) -> tuple[list[list["PlannedRun"]], dict[int, str]]:
    """The runs of every job, and why some jobs have none: their technique does not apply.

    Raises:
        ConfigError: what only the data can tell, such as a batch larger than the training split,
            or that no job applies.
    """
    from regexp.sweep.plan import plan

    planned: list[list[PlannedRun]] = []
    left_out: dict[int, str] = {}
    for number, job in enumerate(jobs):
        try:
            planned.append(plan(job.config))
        except NotApplicable as error:
            if number + 1 == len(jobs) == len(left_out) + 1:
                raise  # no job is left
            left_out[number] = str(error)
            planned.append([])
        except ConfigError as error:
            if len(jobs) == 1:
                raise
            raise ConfigError(f"{error} (in the job {written(job.overrides)})") from error
    return planned, left_out


def key_of(sweep: Sweep, planned: Sequence[Sequence["PlannedRun"]]) -> str:
    """What makes two sweeps the same one, to be continued: the same runs."""
    names = sorted({run.asked for runs in planned for run in runs}) or sweep.command
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]


def repeats(planned: Sequence[Sequence["PlannedRun"]]) -> dict[int, int]:
    """Jobs that an earlier job of the sweep does already: number -> number of the earlier one.

    A sweep over a number of one technique asks for every other technique several times.
    """
    first: dict[str, int] = {}
    repeated = {}
    for number, runs in enumerate(planned):
        if runs and all(run.asked in first for run in runs):
            repeated[number] = first[runs[0].asked]
        for run in runs:
            first.setdefault(run.asked, number)
    return repeated


def open_tracker(config: DictConfig) -> "Tracker":
    """A tracker of the store that a job's configuration names."""
    from regexp.tracking import Tracker

    tracking = config.tracking
    folder = Path(config.paths.mlruns)
    # A log file that a full disk does not take must not print tracebacks.
    logging.raiseExceptions = config.debug
    return Tracker(tracking.uri, tracking.experiment, folder, wait=tracking.wait)


Then = Callable[["ComparisonReport", float], None]
"""`then(report, seconds)` is called when a sweep has been presented, with the wall time that all
commands together have spent on it."""


def execute(
    sweep: Sweep,
    arguments: Sequence[str],
    then: Then = lambda report, seconds: None,
) -> int:
    """Run a sweep to its end, print what came of it, and return the exit status.

    Args:
        sweep: composed and checked.
        arguments: for Hydra's own command line.
        then: does more with what came of it.

    Returns:
        0 if every run finished, 130 after Ctrl-C, else 1.

    Raises:
        ConfigError: what only the data can tell is wrong; nothing was written.
        TrackingError: the store of runs cannot be used.
        Terminated: a signal asked the process to end.
    """
    from regexp.tracking import Terminated

    planned, left_out = plan_all(sweep.jobs)
    for line in progress.left_out(sweep, left_out):
        _say(line)
    try:
        return 1 if _execute(sweep, planned, left_out, arguments, then) else 0
    except (KeyboardInterrupt, Terminated) as interruption:
        # By now the tracker has ended the runs as KILLED, which takes the exception to tell.
        _say("\nInterrupted. The same command again goes on from here.")
        if isinstance(interruption, KeyboardInterrupt):
            return INTERRUPTED
        raise


def _execute(
    sweep: Sweep,
    planned: Sequence[Sequence["PlannedRun"]],
    left_out: Mapping[int, str],
    arguments: Sequence[str],
    then: Then,
) -> bool:
    """Run a planned sweep and print what came of it; whether anything failed."""
    from regexp.tracking import interruptible

    global _tracker
    began = time.monotonic()
    launch = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{uuid.uuid4().hex[:8]}"
    folder = Path(sweep.config.paths.mlruns) / "hydra" / launch
    status: Literal["FINISHED", "FAILED"]
    broken = False
    parent: RunRecord | None = None
    # A signal or Ctrl-C leaves these blocks as an exception; the tracker then ends its runs.
    with interruptible(), open_tracker(sweep.config) as _tracker:
        try:
            settings = {"command": written(sweep.command), **settings_of(sweep)}
            parent = _tracker.sweep(key_of(sweep, planned), sweep.name, settings)
            if sweep.config.figures:
                from regexp.sweep.illustrate import illustrate

                illustrate(planned, parent, _say)
            again = {str(job): first for job, first in repeats(planned).items()}
            order = Order(parent.id, len(sweep.jobs), sweep.swept, again, sorted(left_out))
            variables = {ORDER: json.dumps(asdict(order)), LAUNCH: launch}
            try:
                with _environment(variables):
                    hydra_main([*arguments, *sweep.seeding])
            except Exception as error:  # a launcher or sweeper broke; what jobs did is kept
                broken = True
                _say(f"The launcher stopped: {type(error).__name__}: {error}")
                if sweep.config.debug:
                    traceback.print_exc()
            with _tolerant():
                reported = present(_tracker, parent, sweep.config.figures)
                if reported is not None:
                    then(reported, parent.wall_seconds(time.monotonic() - began))
            failures = progress.failures_of(sweep, folder)
            for line in [*progress.best(folder), *progress.reasons(failures)]:
                _say(line)
            status = "FAILED" if failures or broken else "FINISHED"
            parent.finish(status, progress.summary(failures))
        finally:
            if parent is not None:  # time counts, however the command ends
                parent.wall_seconds(time.monotonic() - began)
            tracker, _tracker = _tracker, None
    return status == "FAILED" or not tracker.left.nothing


@contextlib.contextmanager
def _alone(config: DictConfig, name: str, head: str) -> Iterator[None]:
    """Let one process at a time train a job: a second one then finds its runs finished.

    Args:
        config: of the job.
        name: of the sweep's job.
        head: begins the line that says why nothing happens.
    """
    folder = Path(config.paths.mlruns) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"{head}: waits for another process that trains the same runs")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def settings_of(sweep: Sweep) -> dict[str, object]:
    """What the parent run keeps: the parts of the configuration that all jobs have alike."""
    configs = [job.config for job in sweep.jobs] or [sweep.config]
    first, *others = [_contents(config) for config in configs]
    return {
        key: value
        for key, value in first.items()
        if key != "lengths" and all(other[key] == value for other in others)
    }


def _contents(config: DictConfig) -> dict[str, object]:
    container = OmegaConf.to_container(config)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def hydra_main(arguments: Sequence[str]) -> None:
    """Give the command line to Hydra, as if it were typed."""
    import hydra

    register()
    before = sys.argv
    sys.argv = ["regexp", *arguments]
    main = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=CONFIG_NAME)
    try:
        # What fails is raised, for the caller to say in one message; else Hydra prints tracebacks.
        with _environment({"HYDRA_FULL_ERROR": "1"}):
            main(job)()
    finally:
        sys.argv = before


def job(config: DictConfig) -> float:
    """What Hydra launches: train the runs of one job. Never raises but to be interrupted.

    Returns:
        The mean validation loss of its runs, for sweepers that optimise; infinite on failure.
    """
    from hydra.core.hydra_config import HydraConfig

    from regexp.tracking import TrackingError

    hydra = HydraConfig.get()
    order = Order(**json.loads(os.environ[ORDER]))
    number = 0 if OmegaConf.is_missing(hydra.job, "num") else int(hydra.job.num)
    config = without_strays(config)
    told = progress.varied(config, hydra.overrides.task, order.swept)
    report = progress.Report(number, technique_of(config), told)
    head = f"[{number + 1}/{order.jobs or '?'}] {report.name}"
    earlier = order.repeats.get(str(number))
    left_out = number in order.left_out
    began = time.monotonic()
    try:
        if earlier is None and not left_out:
            validate(config)  # a sweeper that is not Hydra's basic one was not planned
            check_swept(config, order.swept)
            report.points = progress.points(config)
            _say(f"{head}: {progress.size(config)} ...")
            with _alone(config, f"{order.sweep_id}-{number}", head):
                report.outcomes = [asdict(outcome) for outcome in _train(config, order)]
    except NotApplicable as error:  # of a sweeper whose jobs nobody could plan
        left_out = True
        _say(f"{head}: {error}")
    except (ConfigError, TrackingError) as error:
        report.reason = str(error)
    except Exception as error:  # a failing job must not take the others with it
        report.reason = f"{type(error).__name__}: {error}"
        if config.debug:
            traceback.print_exc()
    report.seconds = time.monotonic() - began
    became = progress.result(report) if earlier is None else f"the runs of job {earlier + 1}"
    became = "does not apply" if left_out else became
    _say(f"{head}: {became}")
    try:
        progress.write(report, Path(hydra.runtime.output_dir))
    except OSError as error:  # a full disk must not take the others either
        _say(f"{head}: cannot write its {progress.REPORT} ({error})")
    losses = [outcome["metrics"].get(VALIDATION_LOSS) for outcome in report.outcomes]
    if report.failures or not losses or None in losses:
        return float("inf")
    return sum(losses) / len(losses)


def _train(config: DictConfig, order: Order) -> list["Outcome"]:
    """Train with the tracker of the sweep, or with one of its own in another process."""
    from hydra.core.hydra_config import HydraConfig

    from regexp.sweep.job import train
    from regexp.tracking import Patience, interruptible

    config, setting = with_setting(config, HydraConfig.get().overrides.task, order.swept)
    if _tracker is not None:
        return list(train(config, _tracker, order.sweep_id, setting))
    patience = Patience(config.tracking.wait)
    with interruptible(), patience(lambda: open_tracker(config)) as tracker:
        return list(train(config, tracker, order.sweep_id, setting))


@contextlib.contextmanager
def _tolerant() -> Iterator[None]:
    """Where the store or the disk fails in comparing, a line says so, and the runs are kept."""
    from regexp.tracking import StoreAwayError, TrackingError

    try:
        yield
    except (TrackingError, OSError) as error:
        why = error.why if isinstance(error, StoreAwayError) else error
        _say(f"\nThe runs cannot be compared now: {why}. The same command again compares them.")


def present(
    tracker: "Tracker", parent: "RunRecord", figures: bool = True
) -> "ComparisonReport | None":
    """Print the comparison of a sweep's runs, keep it with the parent, and show the way to it.

    Returns:
        What was reported; None where there are no runs.
    """
    from regexp.compare import report, show
    from regexp.tracking.view import PAGE as UI_PAGE

    all_runs = tracker.runs(parent.id)
    if all_runs.empty:
        return None
    reported = report(tracker, parent, figures=figures)
    compared = reported.comparison
    runs, metric = compared.runs, compared.metric.name
    if (runs["status"] == "FINISHED").any():
        print()
        show(compared)
        if column(RMSE_UNSCALED) in runs:
            _say(f"Errors are of standardized targets; in their own unit: {RMSE_UNSCALED}.")
        for line in progress.ensembles(runs):
            _say(line)
        _say(
            "\nVerdicts in words, scores, costs and pictures, in one page:\n"
            f"  regexp compare {parent.id}"
        )
    link = tracker.link(parent.id, metric=metric)
    _say(f"\nThe runs in the MLflow UI (open it by `regexp ui` or `make ui`):\n  {link}")
    if len(all_runs) > UI_PAGE:
        _say(
            f"The UI loads {UI_PAGE} runs at a time, in the order of their seeds, and averages "
            "those that it has: press `Load more` below its table until all "
            f"{len(all_runs)} are there."
        )
    _say(f"All of it again, to compare every bit:\n  regexp rerun --sweep {parent.id}")
    return reported


def _say(line: str) -> None:
    print(line, flush=True)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
