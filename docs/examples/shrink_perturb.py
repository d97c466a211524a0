"""Shrink and perturb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Range, Regularizer, Step, Tensors, weights


@dataclass(frozen=True)
class ShrinkPerturb(Regularizer, kind="decay", neutral={"shrink": 1.0, "noise": 0.0}):
    """At the end of each epoch, shrink the weights and add noise: w <- shrink * w + noise * z.

    z is standard normal and drawn anew in each epoch. Biases and normalization parameters are left
    alone. The authors do it once, before training goes on with more data; here it is a decay with
    noise, once an epoch.

    Helps: training that goes on from weights which were learned on other data, or on fewer.

    Costs: one draw a weight and epoch, next to nothing.

    Args:
        shrink: factor of the weights, in [0, 1].
        noise: standard deviation of what is added, >= 0, in units of the weights.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        J. T. Ash, R. P. Adams, On warm-starting neural network training, NeurIPS 2020, "Shrink,
        perturb, repeat". https://arxiv.org/abs/1910.08475
    """

    shrink: Annotated[float, Range(0, 1)]
    noise: Annotated[float, Range(0)]

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        if not step.ends_epoch:
            return new
        changed = {
            name: self.shrink * w + self.noise * step.rng.normal(w.shape).to(w)
            for name, w in weights(new, step.kinds).items()
        }
        return new | changed
