"""ShakeDrop: residual branches that are perturbed at random, forwards and backwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Noise, Range, Regularizer, Rng, residuals
from regexp.regularizer.common import backwards_as


@dataclass(frozen=True)
class ShakeDrop(Regularizer, kind="layer", constant=("p",), neutral={"p": 0.0}):
    """Scale residual branches at random: x + (b + a - b a) branch(x), and otherwise backwards.

    b is 0 with the branch's probability p_l, else 1, so that a scales the branch of those rows
    alone: a ~ U(-1, 1) in the forward pass, and ~ U(0, 1) anew in the gradient. The l-th of L
    branches has p_l = l / L * p, as stochastic depth, which is a = 0. In evaluation the branch has
    its expected factor, 1 - p_l. All are drawn for each row (the paper's "image" level), where
    common code draws b once a batch.

    Helps:
        Deep residual networks that are trained long; with two or three branches expect little. The
        paper needs a normalization at the end of each branch, without which the outputs of branches
        may grow against it.

    Costs:
        Three random numbers a row and branch.

    Args:
        p: probability that the last branch is perturbed, in [0, 1).

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without residual branches.

    Reference:
        Y. Yamada et al., ShakeDrop regularization for deep residual learning, IEEE Access 7 (2019),
        section 3. https://arxiv.org/abs/1802.02375
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        branches = residuals(model).values()
        for index, residual in enumerate(branches, start=1):
            residual.drop.append(ShakeDropLayer(self.p * index / len(branches)))
        return model


class ShakeDropLayer(Noise):
    """x * forward, whose gradient is that of x * backward, in training; else x * (1 - p).

    Args:
        p: probability that a row is perturbed.

    Attributes:
        noise: the factors (forward, backward) of each row, [rows, ones, 2].
    """

    numbers = ("p",)
    elementwise = False  # as p may be another in each run

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def draw(self, rng: Rng, rows: int) -> Tensor:
        assert self.shape is not None, "call the network once before drawing its noise"
        each = (rows, *(1 for _ in self.shape))
        kept = rng.keep(each, self.p) > 0
        forward, backward = 2 * rng.uniform(each) - 1, rng.uniform(each)
        return torch.where(kept[..., None], 1.0, torch.stack([forward, backward], -1))

    def idle(self, noise: Tensor) -> Tensor:
        return torch.ones_like(noise)

    def is_silent(self, run: int | None = None) -> bool:
        return self.number("p", run) == 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.note(x) * (1 - torch.as_tensor(self.p, dtype=x.dtype, device=x.device))
        if not self.noise.ndim:  # before its first draw
            return self.note(x)
        forward, backward = self.noise.unbind(-1)
        return backwards_as(forward * x, backward * x)
