"""Batch normalization."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import (
    Course,
    EachTime,
    Range,
    Regularizer,
    blocks,
)
from regexp.regularizer.common import advise_momentum


@dataclass(frozen=True)
class BatchNorm(
    Regularizer,
    kind="normalization",
    constant=("momentum", "eps"),
    provides=("normalization",),
    refuses=("normalization",),
):
    """Standardize each unit (channel) over the batch: scale * (h - mean) / sqrt(var + eps) + shift.

    One layer a hidden block, between the linear layer (convolution, recurrent layer) and the
    activation. Images are standardized over pixels, sequences over times as well. In evaluation
    mean and variance are the running ones. Scale and shift are learned and have one dimension, so
    penalties and decay leave them alone.

    Helps:
        Deep and convolutional networks learn faster, at larger learning rates; as a regularizer it
        is weak, and with batches of few rows it harms.

    Costs:
        Several passes over the hidden units: in small networks as much as the linear layer.

    Args:
        momentum: weight of the newest batch in the running statistics, in [0, 1] (torch's
            convention; Keras's is one minus this).
        eps: added to the variance, >= 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        S. Ioffe, C. Szegedy, Batch normalization: accelerating deep network training by reducing
        internal covariate shift, ICML 2015, algorithm 1. https://arxiv.org/abs/1502.03167
    """

    momentum: Annotated[float, Range(0, 1)]
    eps: Annotated[float, Range(0)]

    def advise(self, course: Course) -> Iterator[str]:
        yield from advise_momentum(course, self.momentum)

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            kind = nn.BatchNorm2d if block.dimensions == 2 else nn.BatchNorm1d
            norm = kind(block.features, eps=self.eps, momentum=self.momentum)
            block.norm.append(EachTime(norm) if block.dimensions == 1 else norm)
        return model
