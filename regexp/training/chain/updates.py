"""Parameters of some runs and their optimizer's state as flat vectors, and its steps on them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, optim

from regexp.stack.fused_adam import adam_kernel, adam_of_rates, alike_but_rates, is_plain

Settings = Mapping[str, Any]
"""The numbers of an optimizer's parameter group."""

ALIGNED = 16
"""Parameters begin at multiples of so many numbers: of 64 bytes, or two such."""


class Flat:
    """Tensors of some shapes in one vector, as zeros.

    Attributes:
        whole: the vector.
        parts: the tensors, which are views of it.
    """

    def __init__(self, shapes: Sequence[torch.Size], dtype: torch.dtype) -> None:
        sizes = [math.ceil(shape.numel() / ALIGNED) * ALIGNED for shape in shapes]
        self.whole = torch.zeros(sum(sizes), dtype=dtype)
        self.parts = [
            piece[: shape.numel()].view(shape)
            for piece, shape in zip(self.whole.split(sizes), shapes, strict=True)
        ]

    def of(self, runs: slice) -> list[Tensor]:
        """What some runs have of it; of all of them, the vector."""
        if runs == slice(0, len(self.parts[0])):
            return [self.whole]
        return [part[runs] for part in self.parts]


Step = Callable[[Sequence[list[Tensor]], int, Settings], None]
"""`step(vectors, count, settings)` updates the parameters, which are the first of the vectors, by
the gradients, the second, and the states, which follow; it is the step number `count`, from 1."""


def _adam(vectors: Sequence[list[Tensor]], count: int, settings: Settings) -> None:
    parameters, gradients, averages, squares = vectors
    steps = torch.full((), float(count))
    many = [steps] * len(parameters)
    adam_kernel(settings, parameters, gradients, averages, squares, many)


def _sgd(vectors: Sequence[list[Tensor]], count: int, settings: Settings) -> None:
    parameters, gradients, *buffers = vectors
    torch._fused_sgd_(
        parameters, gradients, buffers[0] if buffers else [],
        weight_decay=settings["weight_decay"], momentum=settings["momentum"], lr=settings["lr"],
        dampening=settings["dampening"], nesterov=settings["nesterov"], maximize=False,
        is_first_step=count == 1,
    )  # fmt: skip


class Update(NamedTuple):
    """An optimizer for flat vectors.

    Attributes:
        step: makes a step.
        states: names of what it keeps of each parameter, in the parameter's shape.
        counts: whether it keeps the number of steps as well.
    """

    step: Step
    states: tuple[str, ...]
    counts: bool


@dataclass(frozen=True)
class GroupUpdate:
    """The steps of the runs of a block that share an optimizer.

    Attributes:
        group: the number of that optimizer.
        vectors: as `Update.step` takes them.
    """

    update: Update
    group: int
    vectors: Sequence[list[Tensor]]

    def __call__(self, count: int, settings: Sequence[Settings]) -> None:
        """Make the step number `count`, from 1, by the numbers of each optimizer."""
        self.update.step(self.vectors, count, settings[self.group])


class JoinedUpdate:
    """Adam's steps of runs that differ in their rates alone, by one call of the kernel.

    Args:
        vectors: parameters, gradients and states of all runs of a block.
        groups: the optimizers' numbers, and which of the block's runs each has.
        apart: what steps each optimizer's runs, where a schedule has made more of them differ.
    """

    def __init__(
        self,
        vectors: Sequence[Flat],
        groups: Sequence[tuple[int, slice]],
        apart: Sequence[Callable[[int, Sequence[Settings]], None]],
    ) -> None:
        self._apart = apart
        self._vectors, self._groups = [[flat.whole] for flat in vectors], groups
        shapes, dtype = [part.shape for part in vectors[0].parts], vectors[0].whole.dtype
        self._delta, self._rate = Flat(shapes, dtype), Flat(shapes, dtype)
        self._rates: list[float] = []

    def __call__(self, count: int, settings: Sequence[Settings]) -> None:
        """Make the step number `count`, from 1, by the numbers of each optimizer."""
        ours = [settings[group] for group, _ in self._groups]
        if not alike_but_rates(ours):
            for update in self._apart:
                update(count, settings)
            return
        rates = [one["lr"] for one in ours]
        if rates != self._rates:
            self._rates = rates
            for rate, (_, runs) in zip(rates, self._groups, strict=True):
                for part in self._rate.parts:
                    part[runs] = rate
        parameters, gradients, averages, squares = self._vectors
        adam_of_rates(
            ours[0], parameters, gradients, averages, squares,
            [torch.full((), float(count))], [self._delta.whole], [self._rate.whole],
        )  # fmt: skip


def update_of(optimizer: optim.Optimizer) -> Update | None:
    """How an optimizer steps; None if that is not known here."""
    if type(optimizer) not in (optim.Adam, optim.AdamW, optim.SGD) or not is_plain(optimizer):
        return None
    [settings] = optimizer.param_groups
    if settings["maximize"]:
        return None
    if type(optimizer) is optim.SGD:
        return Update(_sgd, ("momentum_buffer",) if settings["momentum"] else (), False)
    return Update(_adam, ("exp_avg", "exp_avg_sq"), True)


def states_of(optimizer: optim.Optimizer, update: Update) -> list[list[Tensor]]:
    """What an optimizer keeps: for each of `update.states`, a tensor a parameter; 0 at first."""
    parameters = optimizer.param_groups[0]["params"]
    for parameter, name in itertools.product(parameters, update.states):
        if optimizer.state[parameter].get(name) is None:
            optimizer.state[parameter][name] = torch.zeros_like(parameter, requires_grad=False)
    return [[optimizer.state[one][name] for one in parameters] for name in update.states]


def note_steps(optimizer: optim.Optimizer, update: Update, count: int) -> None:
    """Have an optimizer know that it made `count` steps, all in all."""
    if update.counts:
        for parameter in optimizer.param_groups[0]["params"]:
            optimizer.state[parameter]["step"] = torch.tensor(float(count))
