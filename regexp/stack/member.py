"""One run's ingredients, before it joins a stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from regexp.dataset.base import Data
from regexp.metrics.bars import Bar
from regexp.model.noise import Noise
from regexp.random import derive, seed_torch
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.objective import Objective
from regexp.stack.optimizers import Stepper

PARAMETER_TYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.float32,  # the network computes under autocast
}
"""By `trainer.precision`."""


@dataclass
class Member:
    """One run's ingredients.

    Attributes:
        seed: keys every draw of the run.
        data: its splits.
        model: initialised, with the layers of its regularizer.
        regularizer: its techniques.
        stepper: its optimizer and schedule.
        objective: its loss, and how much rows count.
        bars: epoch -> what it must have reached after it to go on.
    """

    seed: int
    data: Data
    model: nn.Module
    regularizer: Cocktail
    stepper: Stepper
    objective: Objective = field(default_factory=Objective)
    bars: Mapping[int, Bar] = field(default_factory=dict)

    def structure(self) -> tuple[Any, ...]:
        """What the runs of one stack must agree on."""
        splits = (self.data.train, self.data.validation, self.data.test)
        tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
        return (
            self.data.task,
            tuple((tuple(split.inputs.shape), tuple(split.targets.shape)) for split in splits),
            tuple((name, tuple(tensor.shape)) for name, tensor in tensors),
            str(self.model),
            tuple((name, _settings(module)) for name, module in self.model.named_modules()),
            self.regularizer.structure(),
            self.data.train.weights is None,
            self.objective.structure,
        )


def _settings(module: nn.Module) -> tuple[tuple[str, str], ...]:
    """What a module computes with beside its tensors, and may not show in its repr."""
    # from run to run, perhaps; torch.compile has the address of what it made
    differ = {"training", "_torchdynamo_wrapper_id"}
    if isinstance(module, Noise):
        differ |= {*module.numbers}
    plain = bool | int | float | str | tuple | None
    return tuple(
        (key, repr(value))
        for key, value in vars(module).items()
        if isinstance(value, plain) and key not in differ
    )


def steps_per_epoch(rows: int, batch_size: int) -> int:
    """Batches an epoch: the last may be smaller, but a single row left over is skipped."""
    return rows // batch_size + (rows % batch_size > 1)


def lengths(
    regularizer: Cocktail, rows: int, batch_size: int, epochs: int
) -> list[tuple[int, int]]:
    """Rows a batch and batches of every epoch.

    Args:
        regularizer: its techniques may change the size from epoch to epoch.
        rows: of the training split, which bounds it.
    """
    sizes = [min(regularizer.batch_size(epoch, batch_size), rows) for epoch in range(epochs)]
    return [(size, steps_per_epoch(rows, size)) for size in sizes]


def initial_stream(seed: int, regularizer: Cocktail) -> int:
    """The seed of the initial weights: the run's own, but for techniques that `redraws`."""
    again = (name for name, each in regularizer.techniques.items() if each.redraws)
    return derive(seed, "init", *again)


def add_layers(model: nn.Module, regularizer: Cocktail, seed: int) -> nn.Module:
    """The model with the layers of its techniques, each drawing its numbers from its own stream.

    Raises:
        NotApplicable: if a technique has nothing to work on in the model.
    """
    with torch.random.fork_rng(devices=[]):
        for name in regularizer.techniques:
            seed_torch(derive(seed, "build", name))  # whatever the others draw
            model = regularizer.build_one(name, model)
    regularizer.check_model(model)
    return model
