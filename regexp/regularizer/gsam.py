"""Surrogate gap guided sharpness-aware minimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Range, Regularizer, Step, Tensors
from regexp.regularizer.flat_minima import gradients_along, orthogonal_part


@dataclass(frozen=True)
class GSAM(Regularizer, kind="flatness", neutral={"rho": 0.0, "alpha": 0.0}):
    """Use SAM's gradient s, less alpha times the part of the ordinary one that is orthogonal to s.

    s is the gradient at w + rho * g / norm2(g). Descent along s lowers the loss at the worst point
    nearby; ascent of g at right angles to it leaves that as it is and raises the loss here, so that
    the gap between the two, a measure of the sharpness, closes. Norms and products are over all
    parameters together. The paper lets rho follow the learning rate; here it is constant, or a
    schedule: rho={from: 0.1, to: 0.01, shape: cosine}.

    Both gradients see the same batch and the same noise, and the second leaves running statistics
    alone. List it before techniques that change gradients, which then act on its result.

    Helps: where SAM does; a little more once alpha is tuned.

    Costs: as SAM: twice the time of a step.

    Args:
        rho: radius of the neighbourhood, in units of the parameters' norm, >= 0.
        alpha: how much of the orthogonal part is taken off, >= 0; 0 is SAM.

    Raises:
        ValueError: for a negative number.

    Reference:
        J. Zhuang et al., Surrogate gap minimization improves sharpness-aware training, ICLR 2022,
        algorithm 1. https://arxiv.org/abs/2203.08065
    """

    rho: Annotated[float, Range(0)]
    alpha: Annotated[float, Range(0)]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        worst = gradients_along(view, view.gradients, self.rho)
        apart = orthogonal_part(view.gradients, worst)
        return {name: s - (self.alpha * apart[name]).to(s) for name, s in worst.items()}
