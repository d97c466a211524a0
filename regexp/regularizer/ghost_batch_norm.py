"""Ghost batch normalization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn

from regexp.regularizer.base import (
    Course,
    Range,
    Regularizer,
    blocks,
)
from regexp.regularizer.common import advise_momentum

ROWS = {0: -2, 1: -3, 2: -4}
"""The axis of the rows, from the last, by the number of dimensions of a block's positions."""


@dataclass(frozen=True)
class GhostBatchNorm(
    Regularizer,
    kind="normalization",
    constant=("momentum", "eps"),
    provides=("normalization",),
    refuses=("normalization",),
):
    """Batch normalization over parts of the batch, as if each part were a batch of its own.

    h of each virtual batch <- scale * (h - mean) / sqrt(var + eps) + shift, with the mean and
    variance over this virtual batch; scale and shift are the same for all. The rows of a batch, in
    their order, make virtual batches of `size` rows; what is left over makes a smaller one, but a
    single row joins the one before. In evaluation it is batch normalization.

    Running statistics move once a step, by `momentum`, towards the mean of the virtual batches'
    statistics, weighted by their rows. (The paper moves them once for each virtual batch, so that
    its momentum means another thing at every batch size.) A batch of up to `size` rows is ordinary
    batch normalization, to the bit.

    Helps:
        Large batches: the noise of small batches' statistics is what regularizes, and parts keep
        it at any batch size.

    Costs:
        One batch normalization a virtual batch; the arithmetic is the same.

    Args:
        size: rows of a virtual batch, >= 2.
        momentum: weight of the newest batch in the running statistics, in [0, 1] (torch's
            convention; Keras's is one minus this).
        eps: added to the variance, >= 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        E. Hoffer, I. Hubara, D. Soudry, Train longer, generalize better: closing the
        generalization gap in large batch training of neural networks, NeurIPS 2017, algorithm 1.
        https://arxiv.org/abs/1705.08741
    """

    size: Annotated[int, Range(2)]
    momentum: Annotated[float, Range(0, 1)]
    eps: Annotated[float, Range(0)]

    def advise(self, course: Course) -> Iterator[str]:
        yield from advise_momentum(course, self.momentum)

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            kind = nn.BatchNorm2d if block.dimensions == 2 else nn.BatchNorm1d
            norm = kind(block.features, eps=self.eps, momentum=self.momentum)
            block.norm.append(Ghost(norm, self.size, block.dimensions))
        return model


class Ghost(nn.Module):
    """`norm` over virtual batches of x [..., rows, features], [..., rows, time, features] or
    [..., rows, channels, height, width].

    Args:
        norm: torch's batch normalization (or its form for a stack of runs).
        size: rows of a virtual batch.
        dimensions: of a row's positions: 0, 1 or 2, as above.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, size: int, dimensions: int) -> None:
        super().__init__()
        self.norm: Any = norm
        self.size = size
        self.axis = ROWS[dimensions]
        self.times = dimensions == 1

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        rows = x.shape[self.axis]
        if not norm.training or rows <= self.size:  # statistics are re-estimated in evaluation mode
            return self._normalize(x)
        sizes = parts(rows, self.size)
        momentum = norm.momentum
        chunks = []
        for chunk, share in zip(x.split(sizes, self.axis), shares(sizes, momentum), strict=True):
            norm.momentum = share
            chunks.append(self._normalize(chunk))
        norm.momentum = momentum
        return torch.cat(chunks, self.axis)

    def _normalize(self, x: Tensor) -> Tensor:
        if not self.times:
            return self.norm(x)
        return self.norm(x.flatten(-3, -2)).unflatten(-2, x.shape[-3:-1])


def parts(rows: int, size: int) -> list[int]:
    """Rows of each virtual batch of `rows` > `size` rows: `size`, and in the last what is left."""
    sizes = [size] * (rows // size)
    left = rows % size
    if left == 1:  # one row has no variance
        sizes[-1] += 1
    elif left:
        sizes.append(left)
    return sizes


def shares(sizes: Sequence[int], momentum: float) -> list[float]:
    """The momentum of each virtual batch with which all of them, one after another, move running
    statistics by `momentum` towards their mean, weighted by rows."""
    weights = [momentum * size / sum(sizes) for size in sizes]
    totals = accumulate(weights, initial=1 - momentum)
    return [weight / (total + weight) for weight, total in zip(weights, totals, strict=False)]
