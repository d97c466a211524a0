"""The plain losses, row by row, for any leading axes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


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


LOSSES = {"classification": cross_entropy, "regression": squared_error}
"""The plain loss by `Data.task`."""
