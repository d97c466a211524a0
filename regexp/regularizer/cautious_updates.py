"""Cautious updates."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regexp.regularizer.base import (
    GradientView,
    Memory,
    ParameterKinds,
    Regularizer,
    Step,
    Tensors,
    weights,
)
from regexp.regularizer.common import copied, towards

LEAST_SHARE = 1e-3
"""Of the elements that agree, as the authors bound it: no step is longer than 1000 of its own."""

ROUNDING = 16
"""Elements of a gradient below so many units of rounding of its largest one count as zero."""


@dataclass(frozen=True)
class CautiousUpdates(Regularizer, kind="gradient"):
    """Step only where that goes down the gradient: w <- w - lr * u * [u * g > 0] / share.

    u is the optimizer's update, lr * u = w_old - w_new, and g the gradient of the batch, element by
    element; share is that of the elements of a parameter that agree (at least 1e-3), so that the
    step keeps its mean size. Momentum that points up the gradient waits. Elements without a
    gradient, but for rounding, do not agree. (The paper divides by (agreeing + 1) / all; the
    authors' code, as here, by their share.)

    It makes C-AdamW of AdamW and C-Lion of Lion, and works with any other optimizer. List it after
    what changes the gradient (`sam`, clipping), and before decay and averages, which it would take
    for a part of the update.

    Helps: training with momentum at large learning rates, which oscillates; in as many steps it
        gets further. Without momentum there is nothing to wait for.
    Costs: a copy of the gradients and a few elementwise operations on the weights each step.

    Reference:
        K. Liang et al., Cautious optimizers: improving training with one line of code, ICLR 2026,
        algorithm 1. https://arxiv.org/abs/2411.16085. https://github.com/kyleliang919/C-Optim
    """

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {name: torch.zeros_like(w) for name, w in weights(state, kinds, "all").items()}

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        # a copy, for optimizers may change what they are given in place
        return view.gradients, step.memory | copied(view.gradients)

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        return {name: _agreeing(old[name], w, step.memory[name]) for name, w in new.items()}


def _agreeing(old: Tensor, new: Tensor, gradient: Tensor) -> Tensor:
    """The way from `old` to `new` where it goes down the gradient, as long as all of it."""
    # what rounding leaves of a gradient that is zero, as of the biases of attention's keys, is none
    least = ROUNDING * torch.finfo(gradient.dtype).eps * gradient.abs().max()
    sign = torch.where(gradient.abs() > least, gradient.sign(), 0)
    agrees = (old - new).sign() * sign > 0  # the numbers' own product may underflow to zero
    share = agrees.to(old.dtype).mean().clamp(min=LEAST_SHARE)
    return torch.where(agrees, towards(old, new, 1 / share), old)
