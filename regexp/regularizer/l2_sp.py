"""L2-SP: an L2 penalty towards the starting point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import (
    Include,
    Memory,
    ParameterKinds,
    PenaltyView,
    Range,
    Regularizer,
    Step,
    Tensors,
    total,
    weights,
)
from regexp.regularizer.common import copied


@dataclass(frozen=True)
class L2SP(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Pull the weights to where they started: loss + strength * sum (w - w0)^2.

    w0 are the weights before the first step. The gradient is 2 * strength * (w - w0); the paper's
    number is twice ours (its term has 1/2). The paper starts from a network trained on other data
    and leaves its new output layer to plain L2; here all weights started somewhere, and all are
    pulled.

    Helps: when the start is worth keeping: fine-tuning a trained network on few rows, and wide
        networks that learn well near their initial weights.

    Costs: one pass over the weights a step and a copy of them in memory.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.
        include: `weights` (no biases, no normalization parameters), or `all` parameters.

    Raises:
        ValueError: for a negative strength or another `include`.

    Reference:
        X. Li, Y. Grandvalet, F. Davoine, Explicit inductive bias for transfer learning with
        convolutional networks, ICML 2018, eq. 2. https://arxiv.org/abs/1802.01483
    """

    strength: Annotated[float, Range(0)]
    include: Include

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return copied(weights(state, kinds, self.include))

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds, self.include)
        distances = [(w - step.memory[name]).square().sum() for name, w in selected.items()]
        return self.strength * total(distances)
