"""Layer normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import Range, Regularizer, blocks


@dataclass(frozen=True)
class LayerNorm(
    Regularizer,
    kind="normalization",
    constant=("eps",),
    provides=("normalization",),
    refuses=("normalization",),
):
    """Standardize each row over its units: scale * (h - mean) / sqrt(var + eps) + shift.

    One layer a hidden block, between the linear layer (convolution, recurrent layer) and the
    activation. Mean and variance are those of one row's units; of sequences, at each time by
    itself; of images, over channels and pixels together, with a scale and a shift a channel (group
    normalization with one group). The same in training and in evaluation: no row depends on
    others, and there are no running statistics. Scale and shift have one dimension, so penalties
    and decay leave them alone. Of a recurrent layer what it hands on is standardized, not, as in
    section 3.1 of the paper, what enters its gates.

    Helps:
        Recurrent networks, and batches of few rows, for which batch normalization is no good; on
        images batch normalization is usually better.

    Costs:
        About what batch normalization costs.

    Args:
        eps: added to the variance, >= 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        J. L. Ba, J. R. Kiros, G. Hinton, Layer normalization (2016), eq. 3 and 4.
        https://arxiv.org/abs/1607.06450
    """

    eps: Annotated[float, Range(0)]

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            block.norm.append(
                nn.GroupNorm(1, block.features, eps=self.eps)
                if block.dimensions == 2
                else nn.LayerNorm(block.features, eps=self.eps)
            )
        return model
