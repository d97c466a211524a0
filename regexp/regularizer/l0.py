"""L0 regularization of hidden units by hard concrete gates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Noise, PenaltyView, Range, Regularizer, Rng, Step, blocks, total

TEMPERATURE, LOW, HIGH = 2 / 3, -0.1, 1.1
"""Of the hard concrete distribution: beta, gamma and zeta in the paper's experiments."""


@dataclass(frozen=True)
class L0(Regularizer, kind="sparsity", constant=("closed",)):
    """Learn which hidden units to keep: h * gate, and loss + strength * expected open gates.

    Each unit (channel) of each hidden block has a gate with a learned parameter log_alpha. In
    training the gate is drawn anew for every row, for all times and pixels of it alike, from the
    hard concrete distribution (u uniform on [0, 1)):

        s = sigmoid((log u - log(1 - u) + log_alpha) / beta)
        gate = clamp(s * (zeta - gamma) + gamma, 0, 1)
        P(gate > 0) = sigmoid(log_alpha - beta * log(-gamma / zeta))

    with beta = 2/3, gamma = -.1, zeta = 1.1. In evaluation it is
    clamp(sigmoid(log_alpha) * (zeta - gamma) + gamma, 0, 1), exactly 0 for units that are pruned.
    The penalty is strength times the sum of P(gate > 0): it counts units, each as one. (The
    authors' code counts the weights behind a gate instead, and starts from log_alpha with normal
    noise of .01.) Gates stand after activation and normalization, where dropout has its place.
    They are random at strength 0 too, so there is no strength at which nothing changes.

    Helps: to find the width that layers need, with dropout's effect on the way there.
    Costs: as dropout, with one parameter more a unit; a sigmoid for every unit and row.

    Args:
        strength: per expected open gate and unit of the mean loss of a batch, >= 0.
        closed: initial sigmoid(-log_alpha), in (0, 1); at .5 a gate is open with probability .83
            and .5 on average.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: if the model has no hidden blocks.

    Reference:
        C. Louizos, M. Welling, D. Kingma, Learning sparse neural networks through L0
        regularization, ICLR 2018, eq. 10-13. https://arxiv.org/abs/1712.01312
    """

    strength: Annotated[float, Range(0)]
    closed: Annotated[float, Range(0, 1, open_low=True, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            block.dropout.append(HardConcrete(block.features, block.dimensions, self.closed))
        return model

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        gates = [p for name, p in view.parameters.items() if name.endswith(".log_alpha")]
        return self.strength * total([open_probability(log_alpha).sum() for log_alpha in gates])


def open_probability(log_alpha: Tensor) -> Tensor:
    """P(gate > 0), of the shape of `log_alpha`."""
    return torch.sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))


class HardConcrete(Noise):
    """x * gate, with one gate a feature: drawn for every row in training, else as expected.

    Args:
        features: units or channels of x.
        dimensions: of x beside rows and features (see `Block`).
        closed: initial sigmoid(-log_alpha), in (0, 1).

    Attributes:
        log_alpha: [features].
        noise: log u - log(1 - u), [rows, *gates].
        gates: a row's gates in the shape that broadcasts to its part of x.
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, features: int, dimensions: int, closed: float) -> None:
        super().__init__()
        self.gates = {0: (features,), 1: (1, features), 2: (features, 1, 1)}[dimensions]
        self.log_alpha = nn.Parameter(torch.full((features,), math.log((1 - closed) / closed)))

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return rng.uniform((rows, *self.gates)).logit(eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        # a leading run axis stays in front of the rows'
        location = self.log_alpha.unflatten(-1, self.gates).unsqueeze(-len(self.gates) - 1)
        if not self.training:
            return self.note(x) * stretched(torch.sigmoid(location))
        return x * stretched(torch.sigmoid((self.noise + location) / TEMPERATURE))


def stretched(s: Tensor) -> Tensor:
    """[0, 1] stretched to [LOW, HIGH] and cut off: the ends have probability."""
    return (s * (HIGH - LOW) + LOW).clamp(0, 1)
