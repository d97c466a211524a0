"""Planned runs as stacks: which train together, made, and trained to their results."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch

from regexp.config.collector import keep_imports
from regexp.metrics.names import TUNING_STAGE
from regexp.stack.at_once import runs_at_once
from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.sweeps.final_metrics import add_ensembles, add_final_metrics
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.model_files import model_files
from regexp.sweeps.own_metrics import build_metrics
from regexp.sweeps.planned_run import PlannedRun, stack_of
from regexp.sweeps.resume import Resume
from regexp.sweeps.sharpness import add_sharpness
from regexp.training.device import device_settings
from regexp.training.loop import EpochReport, Save
from regexp.training.parts import Parts
from regexp.training.state import Result, Unfit


def group_by_structure(
    runs: Sequence[PlannedRun], members: Sequence[Member], stack: bool
) -> list[list[int]]:
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
    groups: dict[Hashable, list[int]] = {}
    for index, (run, member) in enumerate(zip(runs, members, strict=True)):
        groups.setdefault(stack_key(run, member), []).append(index)
    return list(groups.values())


def stack_key(run: PlannedRun, member: Member) -> Hashable:
    """What the runs of one stack agree on. `member`: the ingredients of `run`.

    Schedulers of other classes could train together, but have other keys: a stack is recorded by
    those in which its runs differ.
    """
    trainer, scheduler = run.config["trainer"], run.config["scheduler"]
    return trainer["epochs"], trainer["batch_size"], scheduler["_target_"], member.structure()


def at_once(members: Sequence[Member], runs: Sequence[PlannedRun], device: torch.device) -> int:
    """How many runs of a stack train side by side, the others after them."""
    return runs_at_once(members, runs[0].config["trainer"]["batch_size"], device)


def run_stack(
    runs: Sequence[PlannedRun], report: EpochReport, side_by_side: int | None = None
) -> list[Result]:
    """Train runs as one stack, from their beginning, and record nothing.

    Args:
        runs: of equal structure, in the stack's order.
        report: told of every run's metrics after every epoch.
        side_by_side: how many train at once; None for as many as a new stack's.

    Returns:
        One result a run, in their order.

    Raises:
        ConfigError: if the parts of a run do not fit together.
    """
    with device_settings(runs[0].config["trainer"]) as device:
        members = [build_member(run) for run in runs]
        count = side_by_side or at_once(members, runs, device)
        parts = make_parts(members, runs, device, count)
        return train_members(parts, members, runs, report)


def stack_maker(
    runs: Sequence[PlannedRun], device: torch.device
) -> Callable[[Sequence[Member]], Stack]:
    """What makes stacks of runs of equal structure: of all of them, or of some."""
    trainer = runs[0].config["trainer"]
    return partial(
        Stack,
        epochs=trainer["epochs"],
        batch_size=trainer["batch_size"],
        device=device,
        precision=trainer["precision"],
    )


def make_parts(
    members: list[Member],
    runs: Sequence[PlannedRun],
    device: torch.device,
    side_by_side: int,
    resume: Resume | None = None,
) -> Parts:
    """The members in parts that train at once, where they go on if not at their beginning."""
    make = stack_maker(runs, device)
    parts = Parts(members, side_by_side, make)
    content = None if resume is None else resume.load(device)
    if resume is None or content is None:
        return parts
    try:
        parts.resume(content)
    except Unfit as error:
        resume.refuse(error)
        return Parts([build_member(run) for run in runs], side_by_side, make)
    return parts


def train_members(
    parts: Parts,
    members: list[Member],
    runs: Sequence[PlannedRun],
    report: EpochReport,
    save: Save = lambda epoch, content: None,
) -> list[Result]:
    """Train a stack; its results in the order of the members, with what their data add."""
    keep_imports()  # what trains for hours leaves garbage
    trainer = runs[0].config["trainer"]
    results = parts.train(trainer["epochs"], report, save, trainer["step"])
    own_metrics = build_metrics(trainer)
    size = parts.at_once
    stacks = [stack_of(runs[first : first + size]) for first in range(0, len(runs), size)]
    for position, (member, result) in enumerate(zip(members, results, strict=True)):
        if result.status == "FINISHED":
            add_final_metrics(member, result, own_metrics)
            if rows := trainer["sharpness"]:
                add_sharpness(member, result, rows)
            if runs[position].stage != TUNING_STAGE:  # nobody uses a trial
                part, place = divmod(position, size)
                result.model = model_files(runs[position], place, stacks[part], member, result)
    add_ensembles(members, runs, results)
    return results
