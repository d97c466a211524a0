"""Weight decay, decoupled from the gradient or coupled to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import (
    Choice,
    GradientView,
    Include,
    Range,
    Regularizer,
    Step,
    Tensors,
    weights,
)


@dataclass(frozen=True)
class WeightDecay(Regularizer, kind="decay", neutral={"strength": 0.0}):
    """Shrink the weights at every step: w <- w - lr * (u + d * w) or g <- g + d * w.

    u is the optimizer's update of the plain gradient. `decoupled` is AdamW's (and SGDW's) rule for
    any optimizer; it shrinks by the weights before the step. `coupled` is torch's `weight_decay`
    argument: the decay passes through momentum and adaptive steps. For SGD without momentum both
    are one; for Adam they differ, and calling the coupled form weight decay is the usual mistake.

    Helps: networks that fit their training rows better than new ones, and the standard beside
        adaptive optimizers; a schedule that lowers the learning rate lowers the decay with it.

    Costs: one pass over the weights a step, next to nothing.

    Args:
        strength: d, per step and unit of learning rate, >= 0.
        mode: `decoupled` or `coupled`.
        include: `weights` (no biases, no normalization parameters), or `all` parameters, as
            torch's optimizers do.

    Raises:
        ValueError: for a negative strength, another `mode` or `include`.

    Reference:
        I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019, algorithm 2.
        https://arxiv.org/abs/1711.05101. Coupled: S. Hanson, L. Pratt, Comparing biases for
        minimal network construction with back-propagation, NeurIPS 1988.
    """

    strength: Annotated[float, Range(0)]
    mode: Annotated[str, Choice("decoupled", "coupled")]
    include: Include

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        if self.mode != "coupled":
            return view.gradients
        trained = {name: view.parameters[name] for name in view.gradients}
        selected = weights(trained, step.kinds, self.include)
        decayed = {n: view.gradients[n] + self.strength * w for n, w in selected.items()}
        return view.gradients | decayed

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        if self.mode != "decoupled":
            return new
        rate = step.learning_rate * self.strength
        return new | {
            n: new[n] - rate * w for n, w in weights(old, step.kinds, self.include).items()
        }
