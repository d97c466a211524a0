"""Root mean square normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Range, Regularizer, blocks


@dataclass(frozen=True)
class RMSNorm(
    Regularizer,
    kind="normalization",
    constant=("eps",),
    provides=("normalization",),
    refuses=("normalization",),
):
    """Divide each row by the root mean square of its units: scale * h / sqrt(mean(h^2) + eps).

    Layer normalization without centring and without shift. One layer a hidden block, between the
    linear layer (convolution, recurrent layer) and the activation. The mean is over one row's
    units; of sequences, at each time by itself; of images, over channels and pixels together, with
    a scale a channel. The same in training and in evaluation. The scale has one dimension, so
    penalties and decay leave it alone.

    Helps:
        Where layer normalization does; it is simpler and mostly as good.

    Costs:
        Less than layer normalization: one pass over the units instead of two.

    Args:
        eps: added to the mean square, >= 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        B. Zhang, R. Sennrich, Root mean square layer normalization, NeurIPS 2019, eq. 4.
        https://arxiv.org/abs/1910.07467
    """

    eps: Annotated[float, Range(0)]

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            kind = ImageRMSNorm if block.dimensions == 2 else nn.RMSNorm
            block.norm.append(kind(block.features, eps=self.eps))
        return model


class ImageRMSNorm(nn.Module):
    """`nn.RMSNorm` over channels and pixels, with a scale a channel.

    x [rows, channels, height, width] with weight [channels], or both with a leading axis of runs.

    Args:
        features: channels.
        eps: added to the mean square.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, features: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        square = x.square().mean((-3, -2, -1), keepdim=True)
        return x * torch.rsqrt(square + self.eps) * self.weight[..., None, :, None, None]
