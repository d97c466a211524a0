"""Group lasso: penalize the weights of whole units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import (
    Choice,
    Layout,
    PenaltyView,
    Range,
    Regularizer,
    Step,
    total,
    weights,
)
from regexp.regularizer.common import unit_norms


@dataclass(frozen=True)
class GroupLasso(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Add the norms of groups of weights: loss + strength * sum_g sqrt(size_g) * norm2(w_g).

    `incoming` groups are what leads into a unit: a row of a linear layer, a filter of a
    convolution, a gate's row of a recurrent layer. `outgoing` groups are what leads out of an
    input: a column of a linear layer, all kernels that read a channel. The norm is not squared, so
    a group goes to zero as a whole; sqrt(size) makes groups of different sizes alike.

    Gradient steps make groups small but never exactly zero: do not count zeros after it, but after
    `group_lasso_proximal`, which minimizes the same sum.

    Helps: where units or inputs should be switched off as a whole, to select features
        (`outgoing`) or to narrow layers; of little use where all units are needed.

    Costs: one norm over the weights a step, next to nothing.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.
        groups: `incoming` or `outgoing`.

    Raises:
        ValueError: for a negative strength or another choice.

    Reference:
        M. Yuan, Y. Lin, Model selection and estimation in regression with grouped variables, JRSS
        B 68 (2006), eq. 2.1. https://doi.org/10.1111/j.1467-9868.2005.00532.x
        S. Scardapane et al., Group sparse regularization for deep neural networks, Neurocomputing
        241 (2017), section 3 (outgoing groups). https://arxiv.org/abs/1607.00485
    """

    strength: Annotated[float, Range(0)]
    groups: Annotated[str, Choice("incoming", "outgoing")]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds).items()
        return self.strength * total([self._norms(w, step.layout(name)) for name, w in selected])

    def _norms(self, w: Tensor, layout: Layout) -> Tensor:
        """The sum of sqrt(size) * norm over the groups of `w`."""
        w = layout.units_first(w) if self.groups == "incoming" else layout.inputs_first(w)
        return math.sqrt(w[0].numel()) * unit_norms(w).sum()
