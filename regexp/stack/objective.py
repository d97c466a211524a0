"""What the training of a run minimizes beside its penalties: a loss, and how much rows count."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from regexp.dataset.base import CLASSIFICATION, Data
from regexp.errors import ConfigError, nearest


class OwnLoss:
    """A user's loss, called as the plain ones are: for any leading axes, a value a row.

    Args:
        function: `function(outputs, targets)` with outputs [rows, outputs] gives the loss of each
            row, [rows], or of each output of it, [rows, outputs], which is averaged. Targets are
            int64 classes [rows] or probabilities [rows, classes], labels [rows, labels] or values
            [rows, outputs].
        soft: whether it takes probabilities of classes. Without, those that it is given are those
            of hard classes.

    Raises:
        ValueError: when it is called, if it gives other than a value a row.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], *, soft: bool = True) -> None:
        self.function = function
        self.soft = soft

    def to(self, device: torch.device, dtype: torch.dtype) -> OwnLoss:
        """The same with its tensors on a device; the user's module stays where it is."""
        if isinstance(self.function, nn.Module):
            return OwnLoss(copy.deepcopy(self.function).to(device, dtype), soft=self.soft)
        return self

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each row: outputs [..., rows, outputs] -> [..., rows]."""
        if not self.soft and targets.is_floating_point():
            targets = targets.argmax(-1)
        leading = outputs.shape[:-1]
        values = targets.shape[len(leading) :]
        flat = outputs.reshape(-1, outputs.shape[-1])
        # each row by itself: those of all runs at once
        rows = self.function(flat, targets.reshape(-1, *values))
        if rows.ndim == 0 or len(rows) != len(flat):
            raise ValueError(
                f"loss: expected the loss of each row, [{len(flat)}], got {list(rows.shape)}; "
                "leave the mean over rows out (reduction='none' of torch's losses)"
            )
        return (rows if rows.ndim == 1 else rows.flatten(1).mean(1)).view(leading)


@dataclass(frozen=True)
class Objective:
    """What training minimizes: the mean of a loss over rows, each as much as it counts.

    Attributes:
        loss: a user's; None for the plain loss of the task.
        class_weight: `balanced`, or what rows of a class count, by its name, 1 if it is not named;
            None if all classes' rows count alike.
        name: what a loss was made of, so that runs of one stack have the same.
    """

    loss: OwnLoss | None = None
    class_weight: str | Mapping[str, float] | None = None
    name: str = field(default="", compare=False)

    @property
    def structure(self) -> tuple[Any, ...]:
        """What the runs of a stack must agree on."""
        return self.name, repr(self.class_weight)

    def weights(self, data: Data) -> Tensor | None:
        """How much each training row counts: its own weight times that of its class.

        The mean over the training split is 1, so that a loss, and a learning rate for it, is of the
        size that it has without weights. A batch's loss is the mean of weight * loss over its
        rows: over an epoch each row counts by its weight, whatever rows it meets in its batches,
        which would not hold of sum(weight * loss) / sum(weight) of each batch.

        Returns:
            float64 [rows]; None if all count alike.

        Raises:
            ConfigError: weights of classes for what has none, or of unknown ones; or all rows
                count nothing.
        """
        rows = data.train.weights
        weights = None if rows is None else rows.double().numpy()
        if self.class_weight is not None:
            each = class_weights(self.class_weight, data)[data.train.targets.numpy()]
            weights = each if weights is None else weights * each
        if weights is None:
            return None
        mean = weights.mean()
        if not mean > 0:
            raise ConfigError(
                f"no row of the training split of {data.name} counts anything: all weights are 0",
                key="trainer.class_weight" if rows is None else "dataset.weight",
            )
        return torch.from_numpy(weights / mean)


def class_weights(asked: str | Mapping[str, float], data: Data) -> np.ndarray[Any, Any]:
    """What the rows of each class count, float64 [classes], not yet scaled.

    `balanced` is scikit-learn's: rows / (classes * rows of the class), by the training rows alone.
    """
    if data.task != CLASSIFICATION:
        raise ConfigError(
            f"{data.name} is a {data.task}, whose rows have no class",
            key="trainer.class_weight",
            cure="leave it null; dataset.weight=COLUMN weighs rows",
        )
    if isinstance(asked, str):
        count = np.bincount(data.train.targets.numpy(), minlength=len(data.classes))
        present = count > 0
        weights = np.zeros(len(count))
        weights[present] = count.sum() / (present.sum() * count[present])
        return weights
    weights = np.ones(len(data.classes))
    for key, weight in asked.items():
        weights[_class_named(key, data)] = weight
    return weights


def _class_named(key: str, data: Data) -> int:
    """The class that is meant: capitals do not count, and YAML reads `yes` as True."""
    if key in data.classes:
        return data.classes.index(key)
    lower = key.lower()
    for words in ((lower,), *(same for same in _SAME_IN_YAML if lower in same)):
        found = [index for index, name in enumerate(data.classes) if name.lower() in words]
        if len(found) == 1:
            return found[0]
    raise ConfigError(
        f"{data.name} has no class {key!r}" + nearest(key, list(data.classes)),
        key="trainer.class_weight",
    )


_SAME_IN_YAML = (("true", "yes", "on"), ("false", "no", "off"))
