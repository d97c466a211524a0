"""Trials of a step or two, before anything is written: can a run train, and can runs as a stack?

Networks and techniques of the project need none, since its tests have tried them; but for batches
of one row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import compress
from typing import Any

import torch
from torch import Tensor

from regexp.dataset.base import Data, Split
from regexp.errors import ConfigError, kind_and_reason
from regexp.regularizer.base import Batch
from regexp.stack.member import Member, lengths
from regexp.stack.objective import OwnLoss
from regexp.stack.stack import Stack
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.stacks import stack_key
from regexp.training.loop import no_draws_in_training, train

EVALUATED = 8
"""Rows of the other splits that a trial evaluates."""


def check_trains(run: PlannedRun, member: Member) -> None:
    """Train a run for a step, on as few rows as its smallest batch will have.

    Args:
        run: what is planned.
        member: its ingredients, whose network is of no use afterwards.

    Raises:
        ConfigError: if that fails.
    """
    rows = smallest_batch(run, member)
    if rows > 1 and run.of_project:
        return
    try:
        stack = _stack([member], run)
        _check_targets(stack)
        _train(stack)
    except ConfigError:
        raise
    except Exception as error:  # a user's module or technique may raise anything
        reason = kind_and_reason(error)
        if rows == 1:
            raise ConfigError(
                f"{_name(member)} cannot train on batches of one row ({reason})",
                key="trainer.batch_size",
                cure="batch normalization, for one, needs two rows: give trainer.batch_size=2 or "
                "more",
            ) from error
        raise ConfigError(
            f"{_name(member)} cannot train ({reason})", key="model", cure="--debug shows where"
        ) from error


def stack_fault(runs: Sequence[PlannedRun]) -> str:
    """Why the runs of a job cannot train as a stack, in a sentence; empty if they can.

    Args:
        runs: of one job; of each structure a few are tried.
    """
    if len(runs) < 2 or not runs[0].config["stack"] or runs[0].of_project:
        return ""
    return next(filter(None, map(_fault, _samples(runs))), "")


def _samples(runs: Sequence[PlannedRun]) -> Iterator[list[PlannedRun]]:
    """Of each stack that a job will have: two seeds, and a run whose numbers are others."""
    points: dict[str, list[PlannedRun]] = {}
    for run in runs:
        points.setdefault(run.variant, []).append(run)
    groups: dict[Hashable, list[list[PlannedRun]]] = {}
    for point in points.values():
        key = stack_key(point[0], build_member(point[0]))
        groups.setdefault(key, []).append(point)
    for first, *others in groups.values():
        # in the last point of a grid all numbers differ from the first's
        sample = [*first[:2], *(point[0] for point in others[-1:])]
        if len(sample) > 1:
            yield sample


def _fault(runs: list[PlannedRun]) -> str:
    """`stack_fault` of a few runs, of which those that differ from the first are left out."""
    members = [build_member(run) for run in runs]
    structure = members[0].structure()
    alike = [one.structure() == structure for one in members]
    runs, members = list(compress(runs, alike)), list(compress(members, alike))
    if len(runs) == 1:  # they meet others of theirs
        runs, members = runs * 2, [*members, build_member(runs[0])]
    try:
        stacks = [_stack([build_member(run)], run) for run in runs]
        with _tensor_hooks() as hooks:
            alone = [_first_pass(stack) for stack in stacks]
        if hooks:
            raise ValueError("its forward hooks a tensor, and hooks are not called there")
        stack = _stack(members, runs[0])
        together = zip(*_first_pass(stack), strict=True)
        tolerance = 0.1 if runs[0].config["trainer"]["precision"] == "bfloat16" else 1e-3
        for (ours, gradient), (own, wanted) in zip(together, alone, strict=True):
            if not torch.allclose(ours, own, rtol=tolerance, atol=tolerance / 10, equal_nan=True):
                raise ValueError("a run of it gives other outputs there than alone")
            # of all parameters together: in front of a normalization a bias has but rounding
            if (gradient - wanted).norm() > 5 * tolerance * wanted.norm() + 1e-6:
                raise ValueError(
                    "a run of it has other gradients there than alone; hooks that change gradients "
                    "are not called there"
                )
        _train(stack)
    except Exception as error:  # what cannot be lifted may raise anything
        return (
            f"{_name(members[0])} cannot train as a stack of runs ({_reason(error)}); its runs "
            "train one after another."
        )
    return ""


@contextmanager
def _tensor_hooks() -> Iterator[list[Callable[..., Any]]]:
    """Notes the hooks that a forward gives its own tensors, which have no gradients in a `vmap`."""
    before: Callable[..., Any] = Tensor.register_hook
    hooks: list[Callable[..., Any]] = []

    def note(tensor: Tensor, hook: Callable[..., Any]) -> Any:
        hooks.append(hook)
        return before(tensor, hook)

    Tensor.register_hook = note  # type: ignore[method-assign]
    try:
        yield hooks
    finally:
        Tensor.register_hook = before  # type: ignore[method-assign]


def smallest_batch(run: PlannedRun, member: Member) -> int:
    """Rows of the smallest batch that a run will train on."""
    trainer, rows = run.config["trainer"], len(member.data.train)
    plan = lengths(member.regularizer, rows, trainer["batch_size"], trainer["epochs"])
    # what is left over after the full batches makes one more, unless it is a single row
    sizes = {size for size, _ in plan} | {rows % size for size, _ in plan if rows % size > 1}
    return min(sizes, default=1)


def _stack(members: Sequence[Member], run: PlannedRun) -> Stack:
    """A stack of some runs with few rows. It trains their own networks: copies lose hooks."""
    rows, trainer = smallest_batch(run, members[0]), run.config["trainer"]
    few = [replace(one, data=_few(one.data, rows)) for one in members]
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


def _first_pass(stack: Stack) -> tuple[Tensor, Tensor]:
    """Outputs [runs, rows, outputs] of the first batch, and its gradient [runs, numbers]."""
    inputs, targets, *_ = next(stack.batches())
    stack.draw_noise(stack.step(), stack.count(inputs))
    outputs = stack.forward(inputs)
    stack.backward(stack.loss(outputs, targets).mean(-1))
    gradients, start = stack.gradients(), int(stack.lifted)
    parts = [
        gradients.get(name, torch.zeros_like(parameter)).flatten(start)
        for name, parameter in sorted(stack.parameters.items())
    ]
    return outputs.detach(), torch.cat(parts, -1).detach().nan_to_num()


def _check_targets(stack: Stack) -> None:
    """Refuse what makes probabilities of classes where the user's loss takes classes alone."""
    loss = stack.own_loss
    if not isinstance(loss, OwnLoss) or loss.soft or not stack.regularizer.uses("batch"):
        return
    inputs, targets, *others = next(stack.batches())
    batch = Batch(inputs, stack.soft(targets), *others)
    with torch.no_grad():
        changed = stack.regularizer.batch(stack.step(), batch).targets
    if (changed.max(-1).values < 1).any():
        raise ConfigError(
            "a technique makes probabilities of classes, which the loss does not take",
            key="trainer.loss",
            cure="write it for targets [rows, classes] as well, or leave the technique out",
        )


def _train(stack: Stack) -> None:
    """Train for one epoch, to the end."""
    # training itself looks after torch's state
    with torch.random.fork_rng(devices=[]), no_draws_in_training("Python", "NumPy"):
        train(stack, 1, lambda run, epoch, metrics: None)


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
    r"data-dependent control flow": (
        "it decides by the values of tensors; numbers that differ from run to run are tensors too"
    ),
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
