"""The loss of a run's configuration and how much its rows count, tried before training."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from regexp.config.functions import build_function
from regexp.dataset.base import CLASSIFICATION, Data
from regexp.errors import ConfigError, NotApplicable, first_line
from regexp.random import Rng
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import SOFT_TARGETS
from regexp.stack.objective import Objective, OwnLoss
from regexp.sweeps.identity import Node

KEY = "trainer.loss"
ROWS = 6
"""Of a trial call of a loss."""


def build_objective(trainer: Node, data: Data, regularizer: Cocktail) -> Objective:
    """The objective of a run.

    Args:
        trainer: of its configuration.
        data: its splits.
        regularizer: its techniques.

    Raises:
        ConfigError: weights that do not fit the classes; a loss that is none of a row.
        NotApplicable: a technique makes probabilities of classes, which the loss does not take.
    """
    asked, node = trainer["class_weight"], trainer["loss"]
    loss = None if node is None else _build_loss(node, data)
    if loss is not None and not loss.soft:
        _check_hard(node["_target_"], regularizer)
    objective = Objective(loss, asked, "" if node is None else json.dumps(node, sort_keys=True))
    objective.weights(data)  # whether they fit
    return objective


def _build_loss(node: Node, data: Data) -> OwnLoss:
    """A user's loss, tried on a few rows."""
    function = build_function(KEY, node)
    if isinstance(function, nn.Module) and any(p.requires_grad for p in function.parameters()):
        raise ConfigError(
            f"{KEY}._target_={node['_target_']}: it has parameters, which nothing would train"
        )
    outputs, targets = _example(data)
    rows = _call(node, function, outputs, targets)
    for row in range(ROWS):
        alone = _call(node, function, outputs[row : row + 1], targets[row : row + 1])
        if not torch.allclose(alone[0], rows[row], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise ConfigError(
                f"{KEY}._target_={node['_target_']}: the loss of a row differs with the rows "
                "beside it; expected each row's by itself"
            )
    soft = data.task != CLASSIFICATION or _takes_probabilities(function, outputs, targets, rows)
    return OwnLoss(function, soft=soft)


def _example(data: Data) -> tuple[Tensor, Tensor]:
    """Outputs as a network may give them, and targets of the training split, [ROWS, ...] each."""
    targets = data.train.targets[:ROWS]
    targets = targets[torch.arange(ROWS) % len(targets)]
    return Rng(0, "trial of a loss").normal((ROWS, data.outputs)).float(), targets


def _call(node: Node, function: Callable[..., Any], outputs: Tensor, targets: Tensor) -> Tensor:
    """What the loss gives, checked: a value a row, which follows the outputs."""
    target, rows = node["_target_"], len(outputs)
    outputs = outputs.clone().requires_grad_()
    try:
        values = function(outputs, targets)
    except Exception as error:  # a user's function may raise anything
        raise ConfigError(
            f"{KEY}._target_={target}: called with outputs {list(outputs.shape)} and targets "
            f"{list(targets.shape)} ({_kind(targets)}), it raised {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
    shape = list(values.shape) if isinstance(values, Tensor) else type(values).__name__
    if not isinstance(values, Tensor) or values.ndim == 0 or len(values) != rows:
        torchs = target.startswith("torch.nn.")
        raise ConfigError(
            f"{KEY}._target_={target}: expected the loss of each row, of shape [{rows}] for {rows} "
            f"rows, got {shape}",
            cure="give it reduction: none" if torchs else "leave the mean over rows out",
        )
    if not values.requires_grad:
        raise ConfigError(
            f"{KEY}._target_={target}: it has no gradient by the outputs, so that nothing would be "
            "learned"
        )
    values = values.detach()
    return values if values.ndim == 1 else values.flatten(1).mean(1)


def _kind(targets: Tensor) -> str:
    return "values" if targets.is_floating_point() else "classes, int64"


def _takes_probabilities(
    function: Callable[..., Any], outputs: Tensor, targets: Tensor, rows: Tensor
) -> bool:
    """Whether probabilities of classes are taken as such: those of hard classes give the same."""
    chances = nn.functional.one_hot(targets, outputs.shape[-1]).to(outputs.dtype)
    try:
        same = OwnLoss(function)(outputs, chances)
        half = OwnLoss(function)(outputs, (chances + 1 / outputs.shape[-1]) / 2)
    except Exception:  # it was written for classes
        return False
    agrees = same.shape == rows.shape and torch.allclose(same, rows, rtol=1e-4, atol=1e-6)
    return agrees and not torch.equal(half, rows)  # an argmax inside would see no difference


def _check_hard(target: str, regularizer: Cocktail) -> None:
    """Refuse techniques whose targets a loss of hard classes cannot take."""
    for name, technique in regularizer.techniques.items():
        if SOFT_TARGETS in technique.provides:
            raise NotApplicable(
                f"makes probabilities of classes, which the loss {target} does not take",
                key=f"regularizer.{name}",
                cure="write the loss for targets [rows, classes] as well, or leave one of the two "
                "out",
            )
