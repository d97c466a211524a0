"""Weight standardization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from regexp.regularizer.base import Range, Regularizer, hidden_weights
from regexp.regularizer.common import check_own_scale


@dataclass(frozen=True)
class WeightStandardization(
    Regularizer,
    kind="normalization",
    constant=("eps",),
    provides=(
        "parametrized weights",
        "weights whose length has no effect",
        "weights that are shifted",
    ),
    refuses=("parametrized weights",),
):
    """Standardize each unit's weights: w = (v - mean(v)) / sqrt(var(v) + eps) / sqrt(inputs).

    For the weights of hidden blocks: a unit's are a row of a linear or recurrent layer's matrix, a
    channel's kernel of a convolution; mean and variance (the biased one) are over its `inputs`
    numbers. Biases and the output layer stay as they are, and so do weights of a single input, of
    which nothing would be left.

    The last factor is not in the paper, which always has a normalization after the layer: there a
    factor changes nothing. Alone, it keeps signals of variance 1 at variance 1 from layer to layer
    (scaled weight standardization, Brock et al. 2021, eq. 1, without their gain).

    What is trained is v, `...parametrizations.weight.original`. Its length and mean have no effect
    on the outputs, so L2 and weight decay only change the size of its steps.

    Helps:
        Convolutional networks with group normalization, which it brings to the level of batch
        normalization at batches of few rows.

    Costs:
        Little: a mean and a variance a unit, of weights, not of rows.

    Args:
        eps: added to the variance, > 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        S. Qiao et al., Micro-batch training with batch-channel normalization and weight
        standardization (2019), section 2. https://arxiv.org/abs/1903.10520;
        A. Brock, S. De, S. Smith, Characterizing signal propagation to close the performance gap
        in unnormalized ResNets, ICLR 2021. https://arxiv.org/abs/2101.08692
    """

    eps: Annotated[float, Range(0, open_low=True)]

    def check_model(self, model: nn.Module) -> None:
        check_own_scale("weight_standardization", model)

    def build(self, model: nn.Module) -> nn.Module:
        for layer, name in hidden_weights(model):
            if getattr(layer, name)[0].numel() > 1:
                parametrize.register_parametrization(layer, name, Standardized(self.eps))
        return model


class Standardized(nn.Module):
    """Weights [units, *inputs] with mean 0 and variance 1 / inputs in each unit.

    Args:
        eps: added to the variance.
    """

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def forward(self, weight: Tensor) -> Tensor:
        flat = weight.flatten(1)
        variance, mean = torch.var_mean(flat, 1, correction=0, keepdim=True)
        scale = torch.rsqrt((variance + self.eps) * flat.shape[1])
        return ((flat - mean) * scale).view_as(weight)
