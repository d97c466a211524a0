"""Confidence penalty (entropy of the predictions)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class ConfidencePenalty(
    Regularizer, kind="penalty", neutral={"strength": 0.0}, tasks=("classification",)
):
    """Reward uncertain predictions: loss - strength * mean_rows H(softmax T), in nats.

    H(p) = -sum_k p_k log p_k of the predicted probabilities on the batch as it was trained on. It
    is label smoothing with the other direction of the Kullback-Leibler divergence: from the
    predictions to the uniform distribution. The paper's variants, annealing and a threshold on H,
    are not made.

    Helps: large networks that become over-confident, in calibration more than in accuracy; not
        where probabilities near 0 and 1 are right.

    Costs: one pass over the outputs a step, next to nothing.

    Args:
        strength: beta of the paper, in units of loss a nat, >= 0.

    Raises:
        ValueError: for a negative strength.

    Reference:
        G. Pereyra et al., Regularizing neural networks by penalizing confident output
        distributions, 2017, section 3. https://arxiv.org/abs/1701.06548
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        logarithms = torch.log_softmax(view.outputs, -1)
        entropies = -(logarithms.exp() * logarithms).sum(-1)
        return -self.strength * entropies.mean()
