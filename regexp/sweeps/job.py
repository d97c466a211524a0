"""A job: its runs trained as stacks, and recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from regexp.addresses import print_traceback
from regexp.config.values import every_of, stores_checkpoints
from regexp.errors import in_words
from regexp.stack.member import Member
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.outcome import Outcome, chosen_numbers, ended_before
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.recording import (
    Recorder,
    labels_of,
    record_failure,
    record_numbers,
    record_result,
    record_test_outputs,
)
from regexp.sweeps.resume import Every, Point, Resume, remove_checkpoints
from regexp.sweeps.reuse import arithmetic_of, choose, search
from regexp.sweeps.stacks import at_once, group_by_structure, make_parts, train_members
from regexp.tracking import (
    Earlier,
    RunRecord,
    TakenOverError,
    Tracker,
    held_back,
    now,
    pending,
)
from regexp.training.device import device_settings

Advance = Callable[[int], object]
"""Told of how many epochs were trained, of whichever run."""


def _nobody(epochs: int) -> None:
    """Nobody is told."""


def train(
    runs: Sequence[PlannedRun],
    config: DictConfig,
    tracker: Tracker,
    sweep_id: str,
    setting: str = "",
    known: Sequence[Earlier] | None = None,
    advance: Advance = _nobody,
) -> list[Outcome]:
    """Train and record the runs of a job that do not exist yet.

    Where the job searches numbers, its trials come first, and the best on validation data says what
    the runs that count are.

    Args:
        runs: the job's as planned: of a search, its trials.
        config: of the job, composed and validated, not resolved.
        tracker: records the runs.
        sweep_id: of the parent run.
        setting: what beside the technique the sweep varies in this job, for people.
        known: what the store had of the runs when they were planned; None to search for them.
        advance: told of epochs where no progress bar is shown.

    Returns:
        One outcome a run that counts, in the order of the plan. Where trials broke, theirs alone.

    Raises:
        ConfigError: what only the data can tell is wrong, and nothing was recorded; or every trial
            diverged.
        TakenOverError: another process trains them now, as nothing was heard of this one.
    """
    outcomes = _train_runs(runs, config, tracker, sweep_id, setting, known, advance)
    if not config.tune.budget:
        return outcomes
    broken = [one for one in outcomes if one.status != "FINISHED" and not one.diverged]
    if broken:
        return broken
    final = plan(config, chosen_numbers(config, outcomes))
    return _train_runs(final, config, tracker, sweep_id, setting, None, advance)


def _train_runs(
    runs: Sequence[PlannedRun],
    config: DictConfig,
    tracker: Tracker,
    sweep_id: str,
    setting: str,
    known: Sequence[Earlier] | None,
    told: Advance,
) -> list[Outcome]:
    """Train those of some runs that have not ended yet, as stacks, and record them.

    The bits of a run depend on the stack it trains in, so a stack with runs left to do is trained
    as a whole, from its last checkpoint where there is one. Runs of other sweeps are in none.
    """
    if known is None:
        found = search(tracker.tries, runs)
    elif all(one.ended for one in known) and {one.fingerprint for one in known} >= {
        run.fingerprint for run in runs
    }:
        found = list(known)
    else:  # another process may have trained some of them meanwhile
        found = [*known, *tracker.tries(_tags(runs[0], setting), sweep_id)]
    earlier = choose(found, sweep_id, runs, reuse=config.reuse)
    outcomes = ended_before(runs, earlier)
    reused = {
        run.fingerprint
        for run in runs
        if run.fingerprint in outcomes and _is_of_another(earlier[run.fingerprint], sweep_id)
    }
    labels = {run.fingerprint: labels_of(run, setting) for run in runs}
    new = [one for one in sorted(reused) if sweep_id not in earlier[one].sweeps]
    tracker.reuse(sweep_id, {earlier[one].id: labels[one] for one in new})
    left = [run.fingerprint for run in runs if run.fingerprint not in outcomes]
    folder = Path(config.paths.mlruns) / "checkpoints" / sweep_id
    if not left:
        remove_checkpoints(folder, list(outcomes))
        return [outcomes[run.fingerprint] for run in runs]
    own = [run for run in runs if run.fingerprint not in reused]
    arithmetic = arithmetic_of(runs[0].config["trainer"])
    elsewhere = config.checkpoint.elsewhere == "continue"
    recorder = Recorder(tracker, sweep_id, setting, arithmetic, earlier, elsewhere)
    outcomes = _train_own(own, left, config, recorder, folder, told) | outcomes
    return [replace(outcomes[run.fingerprint], tuned=run.tuned) for run in runs]


def _is_of_another(run: Earlier, sweep_id: str) -> bool:
    """Whether a sweep did not train a run; it may have it since the one that did was deleted."""
    return run.sweep_id != sweep_id or sweep_id in run.reused_by


def _tags(run: PlannedRun, setting: str) -> dict[str, str]:
    """By which the runs of a job are searched among those of its sweep."""
    searchable = setting and not ("'" in setting and '"' in setting)
    return {"technique": run.technique} | ({"setting": setting} if searchable else {})


def _train_own(
    runs: Sequence[PlannedRun],
    left: Sequence[str],
    config: DictConfig,
    recorder: Recorder,
    folder: Path,
    told: Advance,
) -> dict[str, Outcome]:
    """Train the stacks of some runs in which one is left to do.

    Args:
        runs: of one job, that belong to its sweep alone.
        left: the fingerprints of those that have not ended.
        config: of the job.
        recorder: of their records.
        folder: of the sweep's checkpoints.
        told: of epochs.

    Returns:
        Fingerprint -> what became of the run, of every stack that was trained.
    """
    outcomes: dict[str, Outcome] = {}
    every = Every(*every_of(config))
    with (
        progress_bar(config.trainer.epochs * len(left), told) as advance,
        device_settings(runs[0].config["trainer"]) as device,
    ):
        # With the job's threads: some techniques decompose weights as they are built.
        members = [build_member(run) for run in runs]
        for part in group_by_structure(runs, members, runs[0].config["stack"]):
            together, ours = [runs[index] for index in part], [members[index] for index in part]
            fingerprints = [run.fingerprint for run in together]
            if not set(fingerprints) & set(left):
                remove_checkpoints(folder, fingerprints)
                continue
            count = at_once(ours, together, device)
            wanted = {at for at, fingerprint in enumerate(fingerprints) if fingerprint in left}
            records = recorder.start(together, wanted, count)
            resume = Resume(
                folder,
                fingerprints,
                recorder.arithmetic,
                every,
                copy=recorder.copy_of(records, together) if stores_checkpoints(config) else None,
                elsewhere=recorder.elsewhere,
            )
            ids = recorder.ids(records, together)
            with held_back():
                results = _train_stack(ours, together, records, ids, device, count, resume, advance)
            outcomes |= dict(zip(fingerprints, results, strict=True))
    return outcomes


def _train_stack(
    members: list[Member],
    runs: Sequence[PlannedRun],
    records: Sequence[RunRecord | None],
    ids: Sequence[str],
    device: torch.device,
    side_by_side: int,
    resume: Resume,
    advance: Advance,
) -> list[Outcome]:
    """Train one stack and record its runs, but those that have no record.

    Whatever fails in it fails these runs alone. A signal ends it after an epoch, the only place
    where there is a checkpoint from which the same bits follow.

    Raises:
        TakenOverError: another process trains it now; nothing more was recorded.
    """

    def report(run: int, epoch: int, metrics: dict[str, float]) -> None:
        resume.note(run, tell(run, Point(epoch, now(), metrics)))

    def check_ours() -> None:
        lost = [record for record in records if record is not None and record.lost]
        for record in lost:
            record.finish("KILLED")
        if lost:
            raise TakenOverError("another process trains the same runs")

    def tell(run: int, point: Point) -> Point:
        if (record := records[run]) is not None:
            record.metrics(point.metrics, point.epoch, point.time)
            advance(1)
        return point

    def save(epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        check_ours()
        ended = pending()  # what comes later waits for the next checkpoint
        resume.save(epoch, content)
        if ended is not None:
            raise ended

    try:
        parts = make_parts(members, runs, device, side_by_side, resume)
        for position, points in enumerate(resume.history):
            for point in points:  # the store may not have them all
                tell(position, point)
        results = train_members(parts, members, runs, report, save)
    except TakenOverError:
        raise
    except Exception as error:
        reason = str(error)
        if not isinstance(error, ValueError):
            reason = f"training raised {in_words(error)}; --debug shows where"
        if runs[0].config["debug"]:
            print_traceback(error)
        pairs = zip(runs, records, strict=True)
        return [record_failure(run, record, reason) for run, record in pairs]
    outcomes, kept = [], True
    record_numbers(records, results, ids)
    together = False
    with contextlib.suppress(OSError):  # each by itself fails alone, or fits
        together = record_test_outputs(records, results, ids)
    for run, record, result in zip(runs, records, results, strict=True):
        try:
            outcomes.append(record_result(run, record, result, together))
        except OSError as error:
            kept = False
            reason = f"what it ended with cannot be stored: {error}"
            outcomes.append(record_failure(run, record, reason))
    check_ours()
    if kept:
        resume.remove()
    return outcomes


@contextlib.contextmanager
def progress_bar(total: int, told: Advance = _nobody) -> Iterator[Advance]:
    """A bar of a job's epochs where there is a terminal; elsewhere `told` is."""
    from tqdm import tqdm

    with tqdm(total=total, unit="epoch", leave=False, disable=None) as bar:
        yield told if bar.disable else bar.update
