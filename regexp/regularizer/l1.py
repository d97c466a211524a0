"""L1 penalty (lasso)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import Include, PenaltyView, Range, Regularizer, Step, total, weights


@dataclass(frozen=True)
class L1(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Add the sum of absolute weights to the loss: loss + strength * sum |w|.

    Biases and normalization parameters are left out unless asked for. Gradient steps make weights
    small but never exactly zero: do not count zeros after it.

    Helps: many inputs or weights that do not matter, whose weights should vanish; the usual first
        try for feature selection. Where all weights matter a little, `l2` is better.

    Costs: one pass over the weights a step, next to nothing.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.
        include: `weights`, or `all` parameters.

    Raises:
        ValueError: for a negative strength or another `include`.

    Reference:
        R. Tibshirani, Regression shrinkage and selection via the lasso, JRSS B 58 (1996), eq. 1.
        https://doi.org/10.1111/j.2517-6161.1996.tb02080.x
    """

    strength: Annotated[float, Range(0)]
    include: Include

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds, self.include).values()
        return self.strength * total([w.abs().sum() for w in selected])
