"""Logit penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class LogitPenalty(
    Regularizer, kind="penalty", neutral={"strength": 0.0}, tasks=("classification",)
):
    """Add the mean squared logit: loss + strength * mean T^2, over rows and classes.

    Softmax does not change when a constant is added to all logits of a row, so the penalty chooses
    the logits of mean zero among equal predictions, and then smaller ones. The paper sums over
    the classes: its number is ours divided by their number.

    Helps: accuracy and calibration of large networks that fit their training rows to
        certainty; features learned with it transfer worse to other tasks.

    Costs: one pass over the outputs a step, next to nothing.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative strength.

    Reference:
        S. Kornblith et al., Why do better loss functions lead to less transferable features?,
        NeurIPS 2021, section 2 (logit penalty). https://arxiv.org/abs/2010.16402
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return self.strength * view.outputs.square().mean()
