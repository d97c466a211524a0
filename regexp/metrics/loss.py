"""The plain losses, row by row, for any leading axes."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from regexp.metrics import names

CLASSIFICATION, REGRESSION, MULTILABEL = names.TASKS

Loss = Callable[[Tensor, Tensor], Tensor]
"""`loss(outputs, targets)`: outputs [..., rows, outputs] -> a value a row, [..., rows]."""


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each row, in nats.

    Args:
        outputs: logits [..., rows, classes].
        targets: classes, int64 [..., rows], or probabilities [..., rows, classes].

    Returns:
        [..., rows]. Class indices and their one-hot probabilities give the same gradients to
        the bit, so techniques that soften the targets are neutral exactly at zero strength.
    """
    if outputs.ndim == 2:
        return F.cross_entropy(outputs, targets, reduction="none")
    classes = outputs.shape[-1]
    soft = targets.is_floating_point()
    flat = targets.reshape(-1, classes) if soft else targets.reshape(-1)
    rows = F.cross_entropy(outputs.reshape(-1, classes), flat, reduction="none")
    return rows.view(outputs.shape[:-1])


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error of each row: outputs, targets [..., rows, values] -> [..., rows]."""
    return (outputs - targets).square().mean(-1)


def binary_cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean over the labels of the cross-entropy of each, in nats.

    Args:
        outputs: logits [..., rows, labels].
        targets: probabilities of the labels, [..., rows, labels].

    Returns:
        [..., rows].
    """
    return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(-1)


LOSSES: dict[str, Loss] = {
    CLASSIFICATION: cross_entropy,
    REGRESSION: squared_error,
    MULTILABEL: binary_cross_entropy,
}
"""The plain loss by `Data.task`."""
