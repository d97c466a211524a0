"""Max-norm constraint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Layout, Range, Regularizer, Step, Tensors, weights
from regexp.regularizer.common import unit_norms


@dataclass(frozen=True)
class MaxNorm(
    Regularizer,
    kind="constraint",
    neutral={"limit": math.inf},
    refuses=("weights whose length has no effect",),
):
    """Bound each unit's incoming weights after every step: w_unit * min(1, limit / norm2(w_unit)).

    torch stores weights as [units, incoming ...], so the norm is over all axes but the first (a
    filter's channels and pixels in a convolution; those of transposed ones lie otherwise); Keras's
    default axis is another for the same thing. Weights of linear, convolution and recurrent layers,
    output layer included; no biases.

    Helps: beside dropout and large learning rates, which it keeps from blowing up the weights;
        a limit that no unit reaches does nothing.

    Costs: one norm over the weights a step, next to nothing.

    Args:
        limit: largest norm of a unit's incoming weights, > 0.

    Raises:
        ValueError: for a limit that is not positive.

    Reference:
        N. Srebro, J. Rennie, T. Jaakkola, Maximum-margin matrix factorization, NeurIPS 2005;
        N. Srivastava et al., Dropout, JMLR 15 (2014), section 5.1.
        https://jmlr.org/papers/v15/srivastava14a.html
    """

    limit: Annotated[float, Range(0, open_low=True)]

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        return new | {
            name: self._bounded(w, step.layout(name))
            for name, w in weights(new, step.kinds).items()
        }

    def _bounded(self, w: Tensor, layout: Layout) -> Tensor:
        w = layout.units_first(w)
        norms = unit_norms(w)
        return layout.units_first(w * torch.where(norms > self.limit, self.limit / norms, 1.0))
