"""Sharpness-aware minimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Range, Regularizer, Step, Tensors
from regexp.regularizer.flat_minima import gradients_along


@dataclass(frozen=True)
class SAM(Regularizer, kind="flatness", neutral={"rho": 0.0}):
    """Use the gradient at the worst point nearby: g(w + rho * g(w) / norm2(g(w))).

    The norm is over all parameters together. Both gradients see the same batch and the same dropout
    masks, and the second leaves running statistics alone. List it before techniques that change
    gradients, which then act on its result.

    Helps: larger networks on few rows and on noisy labels, by small but steady gains; little where
        training and test loss are alike.

    Costs: one more forward and backward pass: twice the time of a step.

    Args:
        rho: radius of the neighbourhood, in units of the parameters' norm, >= 0.

    Raises:
        ValueError: for a negative radius.

    Reference:
        P. Foret et al., Sharpness-aware minimization for efficiently improving generalization,
        ICLR 2021, eq. 2-3 with p = 2. https://arxiv.org/abs/2010.01412
    """

    rho: Annotated[float, Range(0)]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        return gradients_along(view, view.gradients, self.rho)
