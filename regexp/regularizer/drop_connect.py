"""DropConnect: dropout of single weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from regexp.regularizer.base import Noise, Range, Recurrent, Regularizer, Rng, hidden_weights


@dataclass(frozen=True)
class DropConnect(
    Regularizer,
    kind="layer",
    neutral={"p": 0.0},
    provides=("parametrized weights",),
    refuses=("parametrized weights",),
):
    """Zero single weights at random: w * mask / (1 - p) in training, w in evaluation.

    It acts on the weights of hidden blocks, not on biases and not on the output layer; of a
    recurrent layer on those from state to state alone, with the same mask at all times (the
    weight-dropped LSTM of Merity et al. 2018). One mask serves all rows of a step, as there; Wan
    et al. draw one a row, which costs a weight matrix a row. In evaluation the mean weights are
    used, where Wan et al. average over a normal approximation of what the mask makes of units.

    The weights are computed by torch.nn.utils.parametrize; what is trained, penalized and averaged
    is the whole matrix `...parametrizations.weight.original`.

    Helps:
        Large fully connected layers, and recurrent weights. With one mask a step, gradients are
        noisier than with dropout: larger batches and smaller shares suit it.

    Costs:
        One random bit and one multiplication a weight and step: little for large batches.

    Args:
        p: share of the weights that is dropped, in [0, 1).

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        L. Wan et al., Regularization of neural networks using DropConnect, ICML 2013, section 3.
        https://proceedings.mlr.press/v28/wan13.html;
        S. Merity, N. Keskar, R. Socher, Regularizing and optimizing LSTM language models, ICLR
        2018, section 2. https://arxiv.org/abs/1708.02182
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        for layer, name in hidden_weights(model):
            if not isinstance(layer, Recurrent) or name == "weight_hh":
                mask = WeightMask(self.p, tuple(getattr(layer, name).shape))
                parametrize.register_parametrization(layer, name, mask)
        return model


class WeightMask(Noise):
    """weight * noise in training, else weight.

    Args:
        p: share of the weights that is dropped, in [0, 1).
        sizes: shape of the weight.
    """

    numbers = ("p",)

    def __init__(self, p: float, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.p = p
        self.sizes = sizes

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return rng.keep(self.sizes, self.p)

    def idle(self, noise: Tensor) -> Tensor:
        return torch.ones_like(noise)

    def forward(self, weight: Tensor) -> Tensor:
        return self.noise * weight if self.training else weight
