"""Adaptive sharpness-aware minimization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Range, Regularizer, Step, Tensors
from regexp.regularizer.common import global_norm, gradients_at


@dataclass(frozen=True)
class ASAM(Regularizer, kind="flatness", neutral={"rho": 0.0}):
    """Use the gradient at the worst point nearby, near by the size of each weight: g(w + e).

    e = rho * T^2 g / norm2(T g) with T = |w| + eta, element by element; the norm is over all
    parameters together. With eta = 0 the neighbourhood, unlike SAM's, does not change when one
    layer of a ReLU network is scaled up and the next one down, which leaves the function as it is.
    T is the same for biases and normalization parameters (the authors' code takes T = 1 for biases,
    their equation does not).

    Both gradients see the same batch and the same noise, and the second leaves running statistics
    alone. List it before techniques that change gradients, which then act on its result.

    Helps:
        As SAM does, where training ends in sharp minima: many steps, few rows. The radius is
        relative to the weights, so it needs less tuning from one model to another.

    Costs:
        One more gradient: about twice the time of a step, and one more copy of the parameters.

    Args:
        rho: radius of the neighbourhood in relative changes of the weights, >= 0; far larger than
            SAM's for the same effect.
        eta: added to |w|, so that weights near zero move too, >= 0, in units of the weights.

    Raises:
        ValueError: for a negative number.

    Reference:
        J. Kwon et al., ASAM: adaptive sharpness-aware minimization for scale-invariant learning of
        deep neural networks, ICML 2021, section 4, algorithm 1. https://arxiv.org/abs/2102.11600
    """

    rho: Annotated[float, Range(0)]
    eta: Annotated[float, Range(0)]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        sizes = {name: view.parameters[name].abs() + self.eta for name in view.gradients}
        slopes = {name: sizes[name] * g for name, g in view.gradients.items()}
        # 1e-16 as in the authors' code: a zero gradient moves nothing.
        scale = self.rho / (global_norm(slopes) + 1e-16)
        worst = {
            name: view.parameters[name] + scale * sizes[name] * s for name, s in slopes.items()
        }
        return gradients_at(view, worst)
