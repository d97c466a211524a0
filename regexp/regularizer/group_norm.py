"""Group normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import EachTime, NotApplicable, Range, Regularizer, blocks

SMALLEST = 4
"""Fewest units in a group. Of one number standardized alone nothing is left, of two a sign."""


@dataclass(frozen=True)
class GroupNorm(
    Regularizer,
    kind="normalization",
    constant=("eps",),
    provides=("normalization",),
    refuses=("normalization",),
):
    """Standardize each row over groups of its units: scale * (h - mean) / sqrt(var + eps) + shift.

    One layer a hidden block, between the linear layer (convolution, recurrent layer) and the
    activation. A group is so many neighbouring units (of images: channels with all their pixels;
    of sequences: at each time by itself). The same in training and in evaluation: no row depends
    on others, and there are no running statistics. Scale and shift are a unit's (channel's) and
    have one dimension, so penalties and decay leave them alone.

    A block takes the largest number of groups that is at most `groups`, divides its units, and
    leaves at least four to a group; one group is layer normalization.

    Helps:
        Convolutional networks with batches of few rows, for which batch normalization is no good.

    Costs:
        About what batch normalization costs.

    Args:
        groups: most groups in a block, >= 1.
        eps: added to the variance, >= 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks, or with one of a single unit.

    Reference:
        Y. Wu, K. He, Group normalization, ECCV 2018, section 3, eq. 7.
        https://arxiv.org/abs/1803.08494
    """

    groups: Annotated[int, Range(1)]
    eps: Annotated[float, Range(0)]

    def build(self, model: nn.Module) -> nn.Module:
        for name, block in blocks(model).items():
            if block.features == 1 and block.dimensions != 2:
                raise NotApplicable(
                    f"the block {name} has a single unit, which would always be zero",
                    key="regularizer.group_norm",
                    cure="make it wider, or use regularizer=batch_norm",
                )
            groups = number_of_groups(block.features, self.groups)
            norm = nn.GroupNorm(groups, block.features, eps=self.eps)
            block.norm.append(EachTime(norm) if block.dimensions == 1 else norm)
        return model


def number_of_groups(features: int, most: int) -> int:
    """The largest divisor of `features` up to `most` that leaves groups of `SMALLEST` or more."""
    candidates = range(1, min(most, features // SMALLEST) + 1)
    return max((groups for groups in candidates if features % groups == 0), default=1)
