"""Elastic net: L1 and L2 penalties together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import Include, PenaltyView, Range, Regularizer, Step, total, weights


@dataclass(frozen=True)
class ElasticNet(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Add absolute and squared weights: loss + strength * (r * sum |w| + (1 - r)/2 * sum w^2).

    The two parts are parametrized as in scikit-learn, whose loss is half the mean squared error:
    strength = 2 * alpha there. Mind the 1/2 before the squares, which `l2` does not have.

    Helps: as `l1`, where inputs come in correlated groups: L1 alone picks one of a group at random.

    Costs: two passes over the weights a step, next to nothing.

    Args:
        strength: of both parts together, per unit of the mean loss of a batch, >= 0.
        ratio: the share r of the absolute weights, in [0, 1].
        include: `weights` (no biases, no normalization parameters), or `all` parameters.

    Raises:
        ValueError: for a number out of its range or another `include`.

    Reference:
        H. Zou, T. Hastie, Regularization and variable selection via the elastic net, JRSS B 67
        (2005), eq. 3. https://doi.org/10.1111/j.1467-9868.2005.00503.x
    """

    strength: Annotated[float, Range(0)]
    ratio: Annotated[float, Range(0, 1)]
    include: Include

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds, self.include).values()
        absolute = total([w.abs().sum() for w in selected])
        squared = total([w.square().sum() for w in selected])
        return self.strength * (self.ratio * absolute + (1 - self.ratio) / 2 * squared)
