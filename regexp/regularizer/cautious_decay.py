"""Cautious weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Include, Range, Regularizer, Step, Tensors, weights


@dataclass(frozen=True)
class CautiousDecay(Regularizer, kind="decay", neutral={"strength": 0.0}):
    """Decay only where the update shrinks too: w <- w - lr * (u + d * [u * w >= 0] * w).

    u is the optimizer's update, lr * u = w_old - w_new, and all is element by element. Where the
    loss pulls a weight away from zero, plain decay would pull against it; this rule waits, so a
    minimum of the loss stays where it is, up to one step of decay. A weight that does not move is
    decayed, as in the paper. The sign is that of the whole change so far: list it before other
    techniques that move the weights after the step; constraints come later in any case.

    Helps: as weight decay does, with less harm where the strength is large; at equal strength it
        shrinks less, so its best strength is higher.
    Costs: a few elementwise operations on the weights each step.

    Args:
        strength: d, per step and unit of learning rate, >= 0; the scale of `weight_decay`.
        include: `weights` (no biases, no normalization parameters), or `all` parameters.

    Raises:
        ValueError: for a negative strength or another `include`.

    Reference:
        L. Chen et al., Cautious weight decay, 2025, algorithm 1. https://arxiv.org/abs/2510.12402
    """

    strength: Annotated[float, Range(0)]
    include: Include

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        rate = step.learning_rate * self.strength
        selected = weights(old, step.kinds, self.include)
        return new | {n: new[n] - rate * _agreeing(w, w - new[n]) for n, w in selected.items()}


def _agreeing(w: Tensor, update: Tensor) -> Tensor:
    """`w` where `update` is not of the other sign, else 0."""
    # by signs: the product of two small numbers may underflow to zero
    return torch.where(w.sign() * update.sign() >= 0, w, 0.0)
