"""L2 penalty (ridge)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import Include, PenaltyView, Range, Regularizer, Step, total, weights


@dataclass(frozen=True)
class L2(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Add the sum of squared weights to the loss: loss + strength * sum w^2.

    The norm is squared and there is no 1/2: the gradient is 2 * strength * w, which torch's coupled
    `weight_decay = 2 * strength` adds too. Under Adam it is not weight decay, since the adaptive
    step divides it away: see `weight_decay` for that.

    Helps: where rows are few or inputs are correlated; less under Adam, where `weight_decay` is
        the better form.

    Costs: one pass over the weights a step, next to nothing.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.
        include: `weights` (no biases, no normalization parameters), or `all` parameters.

    Raises:
        ValueError: for a negative strength or another `include`.

    Reference:
        A. Hoerl, R. Kennard, Ridge regression: biased estimation for nonorthogonal problems,
        Technometrics 12 (1970), eq. 2.1-2.3. https://doi.org/10.1080/00401706.1970.10488634
    """

    strength: Annotated[float, Range(0)]
    include: Include

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds, self.include).values()
        return self.strength * total([w.square().sum() for w in selected])
