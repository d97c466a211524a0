"""What a launcher starts: one job, in this process or another, on this machine or another."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from regexp.addresses import print_traceback, public
from regexp.config import plan_file
from regexp.config.jobs import Job, checked_job
from regexp.config.launching import current_job
from regexp.config.postponed import postpone
from regexp.config.strays import without_strays
from regexp.config.values import cocktail_name, plain
from regexp.errors import ConfigError, NotApplicable, in_words
from regexp.metrics.names import VALIDATION_LOSS
from regexp.sweeps import progress
from regexp.sweeps.progress import say
from regexp.sweeps.time_left import INTERRUPTED, LEFT, time_left

if TYPE_CHECKING:
    from regexp.sweeps.job import Advance
    from regexp.sweeps.outcome import Outcome
    from regexp.sweeps.planned_run import PlannedRun
    from regexp.tracking import Earlier, Tracker

ByItself = Callable[["Tracker"], contextlib.AbstractContextManager[None]]
"""Keeps other processes from a job meanwhile."""

# The tracker of the sweep, for jobs in the same process: opening another takes its time.
_tracker: "Tracker | None" = None


@dataclass(frozen=True)
class Order:
    """What a job has to know of its sweep.

    Attributes:
        sweep_id: of the parent run.
        jobs: how many the sweep has; 0 where only the sweeper knows.
        swept: the keys that differ from job to job.
        folder: where the reports of the jobs go.
    """

    sweep_id: str
    jobs: int
    swept: Sequence[str]
    folder: str

    def report_of(self, number: int) -> Path:
        """The file of a job's report."""
        return Path(self.folder) / f"{number}.json"


def config_of(job: Job, path: Path) -> dict[str, Any]:
    """The configuration that a job is launched with, as plain containers: of its plan's file.

    Args:
        job: as composed.
        path: of the file, which the configuration names.
    """
    config = plain(job.config, resolve=False)
    config["launch"] |= {"folder": str(path.parent.parent), "plan": str(path)}
    # another machine has another environment, and its workers may start elsewhere
    return config | {"paths": plain(job.config.paths)}


def plan_of(
    order: Order,
    number: int,
    job: Job,
    runs: "Sequence[PlannedRun]",
    known: "Mapping[str, Earlier]",
    *,
    repeated: int | None,
    applies: bool,
) -> dict[str, Any]:
    """What a job needs beside its configuration, so that it plans nothing again, as `config_of`.

    Args:
        order: of the sweep.
        number: of the job, from 0.
        job: as composed.
        runs: as planned.
        known: which of them, and of others, exist already, by fingerprint.
        repeated: the number of an earlier job that has all the runs, if there is one.
        applies: whether its technique does.
    """
    from regexp.sweeps.planned_run import key_of_job

    return {
        "order": asdict(order),
        "cwd": str(Path.cwd()),
        "job": {
            "number": number,
            "technique": job.technique,
            "varied": progress.varied(job.config, job.overrides, order.swept),
            "setting": job.setting,
            "key": key_of_job(runs),
            "repeated": repeated,
            "applies": applies,
        },
        "overrides": list(job.overrides),
        "choices": job.choices,
        "hydra": job.hydra and OmegaConf.to_container(job.hydra, enum_to_str=True),
        "runs": [run.as_plain() for run in runs],
        "known": [known[key].as_plain() for key in _fingerprints(runs) if key in known],
    }


def _fingerprints(runs: "Sequence[PlannedRun]") -> list[str]:
    return list(dict.fromkeys(run.fingerprint for run in runs))


def open_tracker(config: DictConfig) -> "Tracker":
    """A tracker of the store that a job's configuration names."""
    from regexp.tracking import Tracker

    tracking = config.tracking
    folder = Path(config.paths.mlruns)
    # A log file that a full disk does not take must not print tracebacks.
    logging.raiseExceptions = config.debug
    return Tracker(tracking.uri, tracking.experiment, folder, wait=tracking.wait)


@contextlib.contextmanager
def shared_tracker(config: DictConfig) -> "Iterator[Tracker]":
    """The tracker of a sweep, which its jobs in this process use as well."""
    global _tracker
    with open_tracker(config) as _tracker:
        try:
            yield _tracker
        finally:
            _tracker = None


def job(config: DictConfig) -> float:
    """Train the runs of one job. Never raises but to be interrupted.

    Returns:
        The mean validation loss of its runs, for sweepers that optimise; infinite on failure.
    """
    content = plan_file.read(config.launch.plan)
    if _tracker is None:  # a process that a launcher has made for jobs
        postpone()
        with contextlib.suppress(OSError):  # it may be a folder of another machine alone
            os.chdir(content["cwd"])
        if Path(content["order"]["folder"], INTERRUPTED).exists():
            raise KeyboardInterrupt
    return do(config, content)


def do(config: DictConfig, content: Mapping[str, Any], *, idle: bool = False) -> float:
    """Train the runs of one job by its plan, as `job`.

    Args:
        config: of the job.
        content: as `plan_of` gives it.
        idle: whether there is nothing to train, so that other processes need not be kept from it.
    """
    order = Order(**content["order"])
    planned: dict[str, Any] | None = content.get("job")
    if planned is None:
        number, overrides = current_job()
        config = without_strays(config)
        varied = progress.varied(config, overrides, order.swept)
        report = progress.JobReport(number, cocktail_name(config.regularizer), varied)
    else:
        report = progress.JobReport(planned["number"], planned["technique"], planned["varied"])
    head = f"[{report.number + 1}/{order.jobs or '?'}] {report.name}"
    repeated: int | None = planned["repeated"] if planned else None
    applies = planned is None or planned["applies"]
    rest = time_left(order.folder)

    def advance(epochs: int) -> None:
        if line := rest.advance(epochs):
            say(f"{head}: {line}")

    began = time.monotonic()
    try:
        if planned is None:  # of a foreign sweeper, which the command could not plan
            config, setting = checked_job(config, overrides, order.swept)
        else:
            setting = planned["setting"]
        if applies and repeated is None:
            report.points = progress.points(config)
            exist = sum(one["ended"] for one in content.get("known", ()))
            of_them = f", {exist} of them exist already" if exist else ""
            say(f"{head}: {progress.size(config, content.get('runs'))}{of_them} ...")

            @contextlib.contextmanager
            def by_itself(tracker: "Tracker") -> Iterator[None]:
                if idle:
                    yield
                    return
                # by what it trains: the same sweep may have its jobs in another order
                name = planned["key"] if planned else report.number
                with alone(tracker, f"{order.sweep_id}-{name}", head):
                    rest.begin(report.number)
                    yield

            outcomes, report.reason = _train(config, content, order, setting, advance, by_itself)
            report.outcomes = [vars(outcome) for outcome in outcomes]
    except NotApplicable as error:
        applies = False
        say(f"{head}: {error}")
    except Exception as error:  # a failing job must not take the others with it
        report.reason = _reason(error)
        if config.debug and report.reason != str(error):
            print_traceback(error)
    except BaseException:  # interrupted; all is recorded by now
        with contextlib.suppress(OSError):
            order.report_of(report.number).with_suffix(LEFT).touch()
        raise
    report.seconds = time.monotonic() - began
    became = (
        progress.result_line(report, config.compare.metric)
        if repeated is None
        else f"the runs of job {repeated + 1}"
    )
    try:
        progress.write_report(report, order.report_of(report.number))
    except OSError as error:  # a full disk must not take the others either
        say(f"{head}: cannot write its report ({error})")
    say(f"{head}: {became if applies else 'does not apply'}{rest.end()}")
    losses = [outcome["metrics"].get(VALIDATION_LOSS) for outcome in report.outcomes]
    if report.failures or not losses or None in losses:
        return float("inf")
    return sum(losses) / len(losses)


def _reason(error: Exception) -> str:
    """Why a job failed: an error that is for users speaks for itself."""
    from regexp.tracking import TrackingError

    if isinstance(error, ConfigError | TrackingError):
        return public(str(error))
    return public(in_words(error))


def _train(
    config: DictConfig,
    plan_of_job: Mapping[str, Any],
    order: Order,
    setting: str,
    advance: "Advance",
    by_itself: "ByItself" = lambda tracker: contextlib.nullcontext(),
) -> "tuple[list[Outcome], str]":
    """Train with the tracker of the sweep, or with one of its own in another process.

    Args:
        config: of the job.
        plan_of_job: with the `runs`, and which of them are `known` to exist; without them, where a
            foreign sweeper has made the job.
        order: of the sweep.
        setting: what beside the technique the sweep varies in the job, for people.
        advance: told of epochs.
        by_itself: for as long as it trains.

    Returns:
        What became of the runs, and what of them neither the store nor the disk has, if anything.
        What waits on disk is the sweep's to deliver, as is all that a tracker of its own leaves.
    """
    from regexp.sweeps.job import train
    from regexp.sweeps.plan import plan
    from regexp.sweeps.planned_run import PlannedRun, check_code
    from regexp.tracking import Earlier, Patience, TakenOverError, interruptible

    runs = plan_of_job.get("runs")
    known = None
    if runs is not None:
        known = [Earlier.from_plain(one) for one in plan_of_job["known"]]
    planned = plan(config) if runs is None else [PlannedRun.from_plain(run) for run in runs]
    for run in planned[:1]:
        check_code(run)
    if runs is None and current_job()[0] == 0:  # the command could not plan it, and said nothing
        for line in progress.remark_lines([planned]):
            say(line)

    def train_alone(tracker: "Tracker") -> "list[Outcome]":
        while True:
            with contextlib.suppress(TakenOverError), by_itself(tracker):  # then it is waited for
                return train(planned, config, tracker, order.sweep_id, setting, known, advance)

    if _tracker is not None:
        return train_alone(_tracker), ""
    patience = Patience(config.tracking.wait)
    with interruptible(), patience(lambda: open_tracker(config)) as tracker:
        outcomes = train_alone(tracker)
    return outcomes, " ".join(tracker.missing)


def alone(tracker: "Tracker", name: str, head: str) -> contextlib.AbstractContextManager[None]:
    """Let one process at a time train a job: a second one then finds its runs finished.

    Args:
        tracker: of the store, which keeps processes apart on all machines that use it.
        name: of the sweep's job.
        head: begins the line that says why nothing happens.
    """
    return tracker.alone(
        name, lambda who: say(f"{head}: waits for {who} that trains the same runs")
    )
