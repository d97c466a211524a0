"""The plain losses and their gradients, for outputs [runs, outputs, rows].

There each sum over the outputs of a row is one over rows of memory, which the processor adds up
many at a time; a network for three classes has too few in a row.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from regexp.metrics.loss import CLASSIFICATION, MULTILABEL, REGRESSION

LossAndGradient = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`f(outputs, targets, gradient)` gives the loss of each row, [runs, rows], and writes the gradient
of its sum over the rows. Targets are classes, [runs, rows], or [runs, rows, outputs].
"""


def cross_entropy(outputs: Tensor, targets: Tensor, gradient: Tensor) -> Tensor:
    """Of classes."""
    index = targets.unsqueeze(1)
    torch.log_softmax(outputs, 1, out=gradient)
    losses = gradient.gather(1, index).neg_()
    gradient.exp_().scatter_add_(1, index, gradient.new_full((), -1).expand(index.shape))
    return losses.squeeze(1)


def _squared_error(outputs: Tensor, targets: Tensor, gradient: Tensor) -> Tensor:
    torch.sub(outputs, targets.transpose(1, 2), out=gradient)
    losses = gradient.square().mean(1)
    gradient.mul_(2 / outputs.shape[1])
    return losses


def _binary_cross_entropy(outputs: Tensor, targets: Tensor, gradient: Tensor) -> Tensor:
    wanted = targets.transpose(1, 2)
    losses = F.binary_cross_entropy_with_logits(outputs, wanted, reduction="none").mean(1)
    torch.sigmoid(outputs, out=gradient).sub_(wanted).mul_(1 / outputs.shape[1])
    return losses


LOSSES: dict[str, LossAndGradient] = {
    CLASSIFICATION: cross_entropy,
    REGRESSION: _squared_error,
    MULTILABEL: _binary_cross_entropy,
}
"""By `Data.task`, as `regexp.metrics.loss.LOSSES`."""
