"""Metrics of the user's own, taken of final weights on the validation and the test rows."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from regexp.config.functions import build_function, without_direction
from regexp.dataset.base import CLASSIFICATION, MULTILABEL, Data, Split
from regexp.errors import ConfigError, kind_and_reason
from regexp.model.global_draws import no_global_draws
from regexp.sweeps.identity import Node

OwnMetrics = Mapping[str, Callable[[Tensor, Tensor], Any]]
"""By name what is called with outputs and targets, and gives a number."""


def build_metrics(trainer: Node) -> OwnMetrics:
    """The metrics that `trainer.metrics` names.

    Raises:
        ConfigError: one cannot be built.
    """
    return {
        name: build_function(f"trainer.metrics.{name}", without_direction(node))
        for name, node in (trainer["metrics"] or {}).items()
    }


def taken(
    metrics: OwnMetrics, data: Data, split: Split, outputs: Tensor
) -> tuple[dict[str, float], dict[str, str]]:
    """Take metrics of what a run gives for the rows of a split.

    Each is called with outputs and targets on the CPU: logits [rows, classes] and classes [rows];
    logits and labels [rows, labels]; of a regression values and targets [rows, outputs] in the
    target's own unit, float64.

    Returns:
        The numbers by name, and by name why others could not be taken.
    """
    found, failed = {}, {}
    targets = split.targets
    if (scale := data.target_scale) is not None:
        factor, mean = (
            torch.tensor(value, dtype=torch.float64) for value in (scale.scale, scale.mean)
        )
        outputs, targets = (values.double() * factor + mean for values in (outputs, targets))
    for name, metric in metrics.items():
        try:
            # a copy: what an object remembers would count the rows of other runs and splits
            found[name] = float(copy.deepcopy(metric)(outputs.clone(), targets.clone()))
        except Exception as error:  # a user's function may raise anything
            failed[name] = kind_and_reason(error)
    return found, failed


def check_metrics(trainer: Node, data: Data) -> None:
    """Take the metrics once before training, of predictions made of the validation targets.

    Raises:
        ConfigError: one cannot be taken, or draws from a global random state.
    """
    metrics = build_metrics(trainer)
    if not metrics:
        return
    targets = data.validation.targets
    outputs = targets.roll(1, 0)  # what may be predicted, and is not always right
    if data.task == CLASSIFICATION:
        outputs = 2.0 * torch.nn.functional.one_hot(outputs, len(data.classes))
    elif data.task == MULTILABEL:
        outputs = 4 * outputs - 2
    cure = "draw from a generator of its own, with a seed"
    for name, metric in metrics.items():
        key = f"trainer.metrics.{name}._target_={trainer['metrics'][name]['_target_']}"
        with no_global_draws("it draws from {}", cure, key=key):
            _, failed = taken({name: metric}, data, data.validation, outputs.float())
        if failed:
            raise ConfigError(
                f"called with outputs {list(outputs.shape)} and targets {list(targets.shape)} of "
                f"the validation rows, it gave no number ({failed[name]})",
                key=key,
            )
