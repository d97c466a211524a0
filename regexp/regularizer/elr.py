"""Early-learning regularization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import Memory, PenaltyView, Range, Regularizer, Step
from regexp.regularizer.training_rows import remembered, rows_of, with_rows

LEAST = 1e-4
"""Probabilities are held in [LEAST, 1 - LEAST], as in the authors' code."""


@dataclass(frozen=True)
class ELR(
    Regularizer,
    kind="label",
    neutral={"strength": 0.0},
    tasks=("classification",),
    uses_rows=True,
):
    """Add strength * mean log(1 - <p, t>), with t the average of the row's own predictions so far.

    t <- beta * t + (1 - beta) * p once each time that a row is trained on, from t = 0 on, without a
    gradient. The term makes rows that early predictions agree with go on, and takes the gradient
    from those that contradict them, as wrong labels do that are fitted late. p is the softmax of
    the outputs, held in [1e-4, 1 - 1e-4] and in t normalized again, as in the authors' code. Of a
    row that is mixed with another t is the row's own. (ELR+, with two networks, mixup and averaged
    weights, is not this.)

    Helps: many wrong labels, where a network that is trained long would learn them by heart.

    Costs: a table of probabilities of all training rows, which is written anew in every step.

    Args:
        strength: lambda of the paper, >= 0.
        beta: share of the earlier average that is kept, in [0, 1).

    Raises:
        ValueError: for a number out of its range.

    Reference:
        S. Liu et al., Early-learning regularization prevents memorization of noisy labels, NeurIPS
        2020, eq. 6 and 9. https://arxiv.org/abs/2007.00151
    """

    strength: Annotated[float, Range(0)]
    beta: Annotated[float, Range(0, 1, open_high=True)]

    def penalty(self, step: Step, view: PenaltyView) -> tuple[Tensor, Memory]:
        rows = rows_of(view.batch)
        p = view.outputs.softmax(-1).clamp(LEAST, 1 - LEAST)
        seen = (p / p.sum(-1, keepdim=True)).detach()
        table = remembered(step, "averages", seen)
        averages = self.beta * table[rows] + (1 - self.beta) * seen
        averages = averages.to(seen)
        agreement = (p * averages).sum(-1)
        penalty = self.strength * view.batch.mean((-agreement).log1p())
        return penalty, {"averages": with_rows(table, rows, averages)}
