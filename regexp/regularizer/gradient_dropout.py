"""Dropout of gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Range, Regularizer, Step, Tensors
from regexp.regularizer.common import draw_like


@dataclass(frozen=True)
class GradientDropout(Regularizer, kind="gradient", neutral={"p": 0.0}):
    """Zero elements of the gradient at random: g * mask / (1 - p), so its expectation stays.

    Each element is dropped by itself, biases included, with a new mask every step. The network's
    outputs are untouched, unlike with dropout: only where it moves is random. Plain gradient
    descent moves as it would in expectation; adaptive optimizers see larger squares and take
    smaller steps.

    Helps: where few steps on few rows overfit, as in meta-learning's inner loop, for which it was
        made; elsewhere it acts as more noise of small batches.
    Costs: one random mask of the parameters' size each step.

    Args:
        p: share of the gradient's elements that is dropped, in [0, 1).

    Raises:
        ValueError: for a share out of its range.

    Reference:
        H.-Y. Tseng et al., Regularizing meta-learning via gradient dropout, ACCV 2020, section 3
        (the Bernoulli form). https://arxiv.org/abs/2004.05859
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        masks = draw_like(view.gradients, lambda shape: step.rng.keep(shape, self.p))
        return {name: g * masks[name] for name, g in view.gradients.items()}
