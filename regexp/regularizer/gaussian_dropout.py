"""Dropout with normal noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Noise, Range, Regularizer, Rng, blocks


@dataclass(frozen=True)
class GaussianDropout(Regularizer, kind="layer", neutral={"p": 0.0}):
    """Multiply units by normal noise of mean 1: h * (1 + sqrt(p / (1 - p)) * N(0, 1)).

    The noise has the mean and the variance of inverted dropout's mask at the same p, so for a
    linear model both are the same penalty in expectation; but no unit is ever quite gone. New for
    every element of every row; in evaluation h passes unchanged. The layer stands after every
    hidden activation.

    Helps:
        As dropout does, and where zeros hurt (few units, regression); above p = 0.5 the noise is
        larger than the signal.

    Costs:
        Somewhat more than dropout: a normal number a hidden unit takes longer to draw than a bit.

    Args:
        p: share that dropout of the same variance would drop, in [0, 1).

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks.

    Reference:
        N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
        JMLR 15 (2014), section 10. https://jmlr.org/papers/v15/srivastava14a.html
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            block.dropout.append(GaussianDropoutLayer(self.p))
        return model


class GaussianDropoutLayer(Noise):
    """x * noise in training, else x; noise of mean 1 and variance p / (1 - p).

    Args:
        p: in [0, 1).
    """

    numbers = ("p",)

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def draw(self, rng: Rng, rows: int) -> Tensor:
        assert self.shape is not None, "call the network once before drawing its noise"
        return 1 + (self.p / (1 - self.p)) ** 0.5 * rng.normal((rows, *self.shape))

    def idle(self, noise: Tensor) -> Tensor:
        return torch.ones_like(noise)

    def forward(self, x: Tensor) -> Tensor:
        return self.noise * x if self.training else self.note(x)
