"""Trials of a step or two, before anything is written: can a run train, and can runs as a stack?

Networks and techniques of the project need none, since its tests have tried them; but for batches
of one row.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor

from regexp.dataset.base import Data, Split
from regexp.errors import ConfigError
from regexp.random import global_states, moved
from regexp.stack.member import Member, lengths
from regexp.stack.stack import Stack
from regexp.sweep.ingredients import build_member, first_line
from regexp.sweep.planned_run import PlannedRun
from regexp.training.loop import train

EVALUATED = 8
"""Rows of the other splits that a trial evaluates."""


def check_trains(run: PlannedRun, member: Member) -> None:
    """Train a copy of a run for a step, on as few rows as its smallest batch will have.

    Raises:
        ConfigError: if that fails.
    """
    rows = smallest_batch(run, member)
    if rows > 1 and run.of_project:
        return
    try:
        _train(_stack([member], run))
    except ConfigError:
        raise
    except Exception as error:  # a user's module or technique may raise anything
        reason = f"{type(error).__name__}: {first_line(error)}"
        if rows == 1:
            raise ConfigError(
                f"{_name(member)} cannot train on batches of one row ({reason})",
                key="trainer.batch_size",
                cure="batch normalization, for one, needs two rows: give trainer.batch_size=2 or "
                "more",
            ) from error
        raise ConfigError(f"{_name(member)} cannot train ({reason})", key="model") from error


def stack_fault(runs: Sequence[PlannedRun]) -> str:
    """Why the runs of a job cannot train as a stack, in a sentence; empty if they can.

    Args:
        runs: of one job; the first two are tried.
    """
    if len(runs) < 2 or not runs[0].config["stack"] or runs[0].of_project:
        return ""
    members = [build_member(run) for run in runs[:2]]
    if members[0].structure() != members[1].structure():  # they meet others of theirs
        members[1] = build_member(runs[0])
    try:
        alone = [_first_outputs(_stack([member], runs[0])) for member in members]
        stack = _stack(members, runs[0])
        together = _first_outputs(stack)
        tolerance = 0.1 if runs[0].config["trainer"]["precision"] == "bfloat16" else 1e-3
        for ours, own in zip(together, alone, strict=True):
            if not torch.allclose(ours, own, rtol=tolerance, atol=tolerance / 10, equal_nan=True):
                raise ValueError("a run of it gives other outputs there than alone")
        _train(stack)
    except Exception as error:  # what cannot be lifted may raise anything
        return (
            f"{_name(members[0])} cannot train as a stack of runs ({_reason(error)}); its runs "
            "train one after another."
        )
    return ""


def smallest_batch(run: PlannedRun, member: Member) -> int:
    """Rows of the smallest batch that a run will train on."""
    trainer, rows = run.config["trainer"], len(member.data.train)
    plan = lengths(member.regularizer, rows, trainer["batch_size"], trainer["epochs"])
    # what is left over after the full batches makes one more, unless it is a single row
    sizes = {size for size, _ in plan} | {rows % size for size, _ in plan if rows % size > 1}
    return min(sizes, default=1)


def _stack(members: Sequence[Member], run: PlannedRun) -> Stack:
    """A stack of copies of some runs with few rows."""
    rows, trainer = smallest_batch(run, members[0]), run.config["trainer"]
    few = [
        replace(one, model=copy.deepcopy(one.model), data=_few(one.data, rows)) for one in members
    ]
    return Stack(few, trainer["epochs"], rows, precision=trainer["precision"])


def _few(data: Data, rows: int) -> Data:
    """Some rows of each split."""
    return replace(
        data,
        train=_first(data.train, rows),
        validation=_first(data.validation, EVALUATED),
        test=_first(data.test, EVALUATED),
    )


def _first(split: Split, rows: int) -> Split:
    values = {field.name: getattr(split, field.name) for field in fields(split)}
    return replace(
        split, **{name: value[:rows] for name, value in values.items() if value is not None}
    )


def _first_outputs(stack: Stack) -> Tensor:
    """The outputs of the first pass of training mode, [runs, rows, outputs]."""
    inputs, _ = next(stack.batches())
    stack.draw_noise(stack.step(), stack.count(inputs))
    return stack.forward(inputs).detach()


def _train(stack: Stack) -> None:
    """Train for one epoch, to the end."""
    before = global_states(["Python", "NumPy"])  # training itself looks after torch's
    with torch.random.fork_rng(devices=[]):
        train(stack, 1, lambda run, epoch, metrics: None)
    if names := moved(before):
        raise ConfigError(
            f"its training draws from {names[0]}'s global random state, so that it could not be "
            "made again",
            key="regularizer",
            cure="draw from step.rng in a technique, and with functions of torch in a network",
        )


def _name(member: Member) -> str:
    """What is tried, for people: the network, or the network with techniques of a user's."""
    techniques = member.regularizer.techniques.items()
    own = [name for name, one in techniques if not type(one).__module__.startswith("regexp.")]
    return " with ".join(filter(None, (type(member.model).__name__, "+".join(own))))


def _reason(error: Exception) -> str:
    """Why something cannot be lifted, from what torch says of it."""
    if isinstance(error.__cause__, Exception):  # what `check_lifted` puts in words of its own
        error = error.__cause__
    text = " ".join(str(error).split())
    for pattern, words in _REASONS.items():
        if found := re.search(pattern, text):
            return words.format(*found.groups())
    text = re.sub(r"; train the runs one after another.*", "", text.removeprefix("regularizer: "))
    return text[:200] or type(error).__name__


_REASONS = {
    r"data-dependent control flow": "its forward decides by the values of tensors",
    r"inplace randomness on an unbatched tensor": (
        "it fills a new tensor with draws in place; torch.rand, torch.randn and those of existing "
        "tensors can be stacked"
    ),
    r"(?:[Bb]atching rule|vmap).*(aten::\w+(?:\.\w+)?)": (
        "torch.vmap has no rule for {}; written with functions that have one, such as torch.stack "
        "and torch.cat, they could"
    ),
}
"""What torch says of functions that `vmap` cannot lift, and what a user can do with."""
