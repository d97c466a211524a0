"""Alpha dropout, for self-normalizing networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Noise, NotApplicable, Range, Regularizer, Rng, blocks

SATURATED = -1.0507009873554805 * 1.6732632423543772
"""What SELU tends to for small inputs, -scale * alpha: here what a dropped unit is set to."""


@dataclass(frozen=True)
class AlphaDropout(Regularizer, kind="layer", neutral={"p": 0.0}):
    """Set units to SELU's lower limit at random, and keep mean 0 and variance 1.

    h <- a * (h * mask + s * (1 - mask)) + b in training, h in evaluation, where mask is 1 with
    probability q = 1 - p, s = -1.7581 is what SELU tends to, a = (q + s^2 * q * (1 - q))^-1/2 and
    b = -a * (1 - q) * s. If h has mean 0 and variance 1, so has the result: dropout's zeros would
    raise the variance, and the next layers would no longer normalize themselves.

    The layer stands after every hidden activation, each of which must be SELU. Self-normalizing
    also takes standardized inputs, and initial weights of mean 0 and variance 1 / inputs, which
    this technique leaves to the model (torch's linear layers begin with 1 / (3 * inputs)).

    Helps:
        Deep fully connected networks with SELU and no normalization layers. With any other
        activation its moments mean nothing: use dropout.

    Costs:
        About what dropout costs: one random number and one multiplication a hidden unit.

    Args:
        p: share of every hidden block's outputs that is dropped, in [0, 1).

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without hidden blocks, or with another activation than SELU.

    Reference:
        G. Klambauer et al., Self-normalizing neural networks, NeurIPS 2017, section 3, "New
        dropout technique". https://arxiv.org/abs/1706.02515
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        for name, block in blocks(model).items():
            if not isinstance(block.activation, nn.SELU):
                raise NotApplicable(
                    f"keeps the moments of SELU, but the block {name} has the activation "
                    f"{type(block.activation).__name__}",
                    key="regularizer.alpha_dropout",
                    cure="use model.activation=selu, or regularizer=dropout",
                )
            block.dropout.append(AlphaDropoutLayer(self.p))
        return model


class AlphaDropoutLayer(Noise):
    """x * noise[..., 0] + noise[..., 1] in training, else x.

    Args:
        p: share of elements that is dropped, in [0, 1).
    """

    numbers = ("p",)

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def draw(self, rng: Rng, rows: int) -> Tensor:
        """Factors and summands [rows, *shape, 2], which are a and b where the unit is kept."""
        assert self.shape is not None, "call the network once before drawing its noise"
        mask = (rng.keep((rows, *self.shape), self.p) > 0).to(torch.float32)
        p = self.p
        a = (1 - p + SATURATED**2 * (1 - p) * p) ** -0.5
        b = -a * p * SATURATED
        return torch.stack([a * mask, a * SATURATED * (1 - mask) + b], -1)

    def idle(self, noise: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(noise[..., 0]), torch.zeros_like(noise[..., 1])], -1)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.noise.ndim:  # nothing drawn yet
            return self.note(x)
        factor, summand = self.noise.unbind(-1)
        return factor * x + summand
