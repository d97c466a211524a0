"""Annealed normal noise on the gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Range, Regularizer, Step, Tensors
from regexp.regularizer.common import draw_like


@dataclass(frozen=True)
class GradientNoise(Regularizer, kind="gradient", neutral={"eta": 0.0}):
    """Add noise that fades to the gradient: g + N(0, eta / (1 + t)^decay), t steps done before.

    `eta` is a variance, that of the first step's noise. The noise is new for every parameter and
    step, biases included, and of one size for all, however large their gradients: compare it with
    the size of the gradients before choosing it. Adaptive optimizers divide by that size, so there
    it is largest where gradients are small.

    Helps: deep networks that start badly, by leaving poor minima and saddle points early; with
        small batches, whose gradients are noisy enough, hardly.
    Costs: one normal draw a parameter each step; in a small network a good part of the step.

    Args:
        eta: variance at the first step, in squared units of the gradient, >= 0.
        decay: exponent by which the variance falls with the steps, >= 0; 0 keeps it.

    Raises:
        ValueError: for a negative number.

    Reference:
        A. Neelakantan et al., Adding gradient noise improves learning for very deep networks,
        2015, eq. 1. https://arxiv.org/abs/1511.06807
    """

    eta: Annotated[float, Range(0)]
    decay: Annotated[float, Range(0)]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        std = (self.eta / (1 + step.index) ** self.decay) ** 0.5
        noise = draw_like(view.gradients, step.rng.normal)
        return {name: g + std * noise[name].to(g.dtype) for name, g in view.gradients.items()}
