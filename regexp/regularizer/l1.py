"""L1 penalty (lasso)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from regexp.regularizer.base import (
    PenaltyView,
    Regularizer,
    Step,
    check_choice,
    check_range,
    total,
    weights,
)


@dataclass(frozen=True)
class L1(Regularizer):
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

    neutral: ClassVar[Mapping[str, Any] | None] = {"strength": 0.0}
    kind: ClassVar[str] = "penalty"

    strength: float
    include: str

    def check(self) -> None:
        check_range("regularizer.l1.strength", self.strength, 0)
        check_choice("regularizer.l1.include", self.include, ("weights", "all"))

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        chosen = weights(view.parameters, self.include).values()
        return self.strength * total([w.abs().sum() for w in chosen])
