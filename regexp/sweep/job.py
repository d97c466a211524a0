"""A job: its runs trained as stacks, and recorded."""

from __future__ import annotations

import contextlib
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml
from omegaconf import DictConfig

from regexp.config.values import every_of
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.sweep.diagnostics import NAME as DIAGNOSTICS
from regexp.sweep.diagnostics import diagnostics
from regexp.sweep.final_metrics import add_ensembles, against_naive, calibration
from regexp.sweep.outcome import Outcome, before, chosen_of
from regexp.sweep.plan import build_member, plan
from regexp.sweep.planned_run import PlannedRun, stack_of
from regexp.sweep.resume import Every, Point, Resume, forget
from regexp.tracking import DIVERGED, Earlier, environment, now
from regexp.training import checkpoint
from regexp.training.device import device_name, settings
from regexp.training.loop import EpochReport, Save
from regexp.training.loop import train as train_stack
from regexp.training.state import Result, TrainingState, Unfit

if TYPE_CHECKING:
    from regexp.tracking import RunRecord, Tracker


def train(
    runs: Sequence[PlannedRun],
    config: DictConfig,
    tracker: Tracker,
    sweep_id: str,
    setting: str = "",
) -> list[Outcome]:
    """Train and record the runs of a job that the sweep has not ended yet.

    Where the job searches numbers, its trials come first, and the best on validation data says what
    the runs that count are.

    Args:
        runs: the job's as planned: of a search, its trials.
        config: of the job, composed and validated, not resolved.
        tracker: records the runs.
        sweep_id: of the parent run.
        setting: what beside the technique the sweep varies in this job, for people.

    Returns:
        One outcome a run that counts, in the order of the plan. Where trials broke, theirs alone.

    Raises:
        ConfigError: what only the data can tell is wrong, and nothing was recorded; or every trial
            diverged.
    """
    outcomes = _train_runs(runs, config, tracker, sweep_id, setting)
    if not config.tune.budget:
        return outcomes
    broken = [one for one in outcomes if one.status != "FINISHED" and not one.diverged]
    if broken:
        return broken
    return _train_runs(
        plan(config, chosen_of(config, outcomes)), config, tracker, sweep_id, setting
    )


def _train_runs(
    runs: Sequence[PlannedRun], config: DictConfig, tracker: Tracker, sweep_id: str, setting: str
) -> list[Outcome]:
    """Train those of some runs that have not ended yet, as stacks, and record them.

    The bits of a run depend on the stack it trains in, so a stack with runs left to do is trained
    as a whole, from its last checkpoint where there is one.
    """
    earlier = tracker.earlier(sweep_id)
    outcomes = before(runs, earlier)
    left = [run.fingerprint for run in runs if run.fingerprint not in outcomes]
    folder = Path(config.paths.mlruns) / "checkpoints" / sweep_id
    if not left:
        forget(folder, list(outcomes))
        return [outcomes[run.fingerprint] for run in runs]
    members = [build_member(run) for run in runs]
    every = Every(*every_of(config))
    with (
        progress_bar(config.trainer.epochs * len(left)) as advance,
        settings(runs[0].config["trainer"]) as device,
    ):
        arithmetic = environment.arithmetic() | {"device": device_name(device)}
        for part in stacks(runs, members, config.stack):
            chosen = [runs[index] for index in part]
            fingerprints = [run.fingerprint for run in chosen]
            if not set(fingerprints) & set(left):
                forget(folder, fingerprints)
                continue
            records = [
                start_record(tracker, sweep_id, chosen, position, setting, arithmetic, earlier)
                if fingerprint in left
                else None
                for position, fingerprint in enumerate(fingerprints)
            ]
            resume = Resume(folder, fingerprints, arithmetic, every)
            results = _train_stack(
                [members[index] for index in part], chosen, records, device, resume, advance
            )
            outcomes |= dict(zip(fingerprints, results, strict=True)) | outcomes
    return [replace(outcomes[run.fingerprint], tuned=run.tuned) for run in runs]


def run_stack(runs: Sequence[PlannedRun], report: EpochReport) -> list[Result]:
    """Train runs as one stack, from their beginning, and record nothing.

    Args:
        runs: of equal structure, in the stack's order.
        report: told of every run's metrics after every epoch.

    Returns:
        One result a run, in their order.

    Raises:
        ConfigError: if the parts of a run do not fit together.
    """
    with settings(runs[0].config["trainer"]) as device:
        members = [build_member(run) for run in runs]
        stack, _ = _stack(members, runs, device, None)
        return _run(stack, members, runs, report)


def record_result(run: PlannedRun, record: RunRecord | None, result: Result) -> Outcome:
    """Record what a run ended with: its metrics and checkpoints, and that it ended.

    Args:
        run: as planned.
        record: of the run; None if nothing is to be recorded.
        result: of its training.

    Raises:
        OSError: the checkpoints cannot be written.
    """
    diverged = result.status != "FINISHED"
    outcome = Outcome(run.name, result.status, result.reason, result.metrics, diverged)
    if record is None:
        return outcome
    if result.status == "FINISHED":
        record.summary(result.metrics)
        record.text(result.diagnostics, DIAGNOSTICS)
        record.tags({"weights.sha256": checkpoint.digest(result.last["weights"])})
        with tempfile.TemporaryDirectory() as folder:
            for name, content in (("best", result.best), ("last", result.last)):
                path = Path(folder) / f"{name}.pt"
                checkpoint.save(path, content)
                record.artifact(path, "checkpoints")
    else:
        record.tags({DIVERGED: True})
    record.finish(result.status, result.reason)  # type: ignore[arg-type]
    return outcome


def stacks(runs: Sequence[PlannedRun], members: Sequence[Member], stack: bool) -> list[list[int]]:
    """Which runs train together: those of equal structure, in their order.

    Args:
        runs: of the job.
        members: their ingredients.
        stack: False for every run by itself.

    Returns:
        Positions of the runs, one list a stack.
    """
    if not stack:
        return [[index] for index in range(len(runs))]
    groups: dict[Any, list[int]] = {}
    for index, (run, member) in enumerate(zip(runs, members, strict=True)):
        trainer = run.config["trainer"]
        key = (trainer["epochs"], trainer["batch_size"], member.structure())
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def _train_stack(
    members: list[Member],
    runs: Sequence[PlannedRun],
    records: Sequence[RunRecord | None],
    device: torch.device,
    resume: Resume,
    advance: Any,
) -> list[Outcome]:
    """Train one stack and record its runs, but those that have no record.

    Whatever fails in it fails these runs alone.
    """

    def report(run: int, epoch: int, metrics: dict[str, float]) -> None:
        resume.note(run, tell(run, Point(epoch, now(), metrics)))

    def tell(run: int, point: Point) -> Point:
        if (record := records[run]) is not None:
            record.metrics(point.metrics, point.epoch, point.time)
            advance(1)
        return point

    try:
        stack, state = _stack(members, runs, device, resume)
        for position, points in enumerate(resume.history):
            for point in points:  # the store may not have them all
                tell(position, point)
        results = _run(stack, members, runs, report, resume.save, state)
    except Exception as error:
        reason = str(error)
        if not isinstance(error, ValueError):
            reason = f"training raised {type(error).__name__}: {error}; --debug shows where"
        if runs[0].config["debug"]:
            traceback.print_exc()
        return [_fail(run, record, reason) for run, record in zip(runs, records, strict=True)]
    outcomes, kept = [], True
    for run, record, result in zip(runs, records, results, strict=True):
        try:
            outcomes.append(record_result(run, record, result))
        except OSError as error:
            kept = False
            outcomes.append(_fail(run, record, f"what it ended with cannot be stored: {error}"))
    if kept:
        resume.remove()
    return outcomes


def _fail(run: PlannedRun, record: RunRecord | None, reason: str) -> Outcome:
    if record is not None:
        record.finish("FAILED", reason)
    return Outcome(run.name, "FAILED", reason)


def _stack(
    members: list[Member], runs: Sequence[PlannedRun], device: torch.device, resume: Resume | None
) -> tuple[Stack, TrainingState | None]:
    """The stack of the members, and where it goes on, if not at its beginning."""
    trainer = runs[0].config["trainer"]
    make = partial(
        Stack,
        epochs=trainer["epochs"],
        batch_size=trainer["batch_size"],
        device=device,
        precision=trainer["precision"],
    )
    stack = make(members)
    content = None if resume is None else resume.load(device)
    if resume is None or content is None:
        return stack, None
    try:
        return stack, TrainingState.resumed(stack, content)
    except Unfit as error:
        resume.refuse(error)
        return make([build_member(run) for run in runs]), None


def _run(
    stack: Stack,
    members: list[Member],
    runs: Sequence[PlannedRun],
    report: EpochReport,
    save: Save = lambda epoch, content: None,
    state: TrainingState | None = None,
) -> list[Result]:
    """Train a stack; its results in the order of the members, with what their data add."""
    results = train_stack(stack, runs[0].config["trainer"]["epochs"], report, save, state)
    results.sort(key=lambda result: result.run)
    for member, result in zip(members, results, strict=True):
        result.metrics |= against_naive(member.data, result.metrics)
        if result.status == "FINISHED":
            result.metrics |= calibration(member.data, result.outputs)
            result.diagnostics = diagnostics(member.data, result)
    add_ensembles(members, runs, results)
    return results


def start_record(
    tracker: Tracker,
    sweep_id: str,
    stack: Sequence[PlannedRun],
    position: int,
    setting: str,
    arithmetic: Mapping[str, str],
    earlier: Mapping[str, Earlier],
) -> RunRecord:
    """Begin the record of a stack's run, or go on with the one of a try that was broken off."""
    run = stack[position]
    before = earlier.get(run.fingerprint)
    bits = ", ".join(f"{name} {value}" for name, value in arithmetic.items())
    return tracker.start(
        sweep_id,
        name=run.name,
        fingerprint=run.fingerprint,
        params=run.params,
        tags={
            "technique": run.technique,
            "variant": run.variant,
            "setting": setting,
            "seed": str(run.seed),
            "dataset": run.dataset,
            "data.checksum": run.checksum,
            "split": "shared" if run.shared_split else "seed",
            "stage": run.stage,
            "tuned": run.tuned,
            "arithmetic": bits,
        },
        artifacts={
            "config.yaml": run.config_yaml,
            "stack.yaml": yaml.safe_dump(stack_of(stack, position), sort_keys=False),
        },
        dataset={"name": run.dataset, "checksum": run.checksum, "source": run.source},
        # on another machine its other epochs would have other bits
        resume=before.id if before and before.arithmetic == bits else None,
    )


@contextlib.contextmanager
def progress_bar(total: int) -> Iterator[Any]:
    """A bar of a job's epochs, where there is a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit="epoch", leave=False, disable=None) as bar:
        yield bar.update
