"""Gradient clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Choice, GradientView, Range, Regularizer, Step, Tensors
from regexp.regularizer.common import global_norm


@dataclass(frozen=True)
class GradientClipping(Regularizer, kind="gradient", neutral={"limit": math.inf}):
    """Bound the gradient: g * min(1, limit / (norm2(g) + 1e-6)), or clamp(g, -limit, limit).

    The norm is one over all parameters together, so the direction is kept; clipping each parameter
    by its own norm would turn it. 1e-6 is torch's. List it after `sam` to clip SAM's gradient; two
    clippings around one step are the usual mistake.

    Helps: recurrent networks, large learning rates and rare rows with huge losses, as a guard
        rather than a regularizer; adaptive optimizers need it less.

    Costs: one norm over the gradients a step, next to nothing.

    Args:
        limit: of the norm, or of each element's size, in units of the gradient, > 0.
        mode: `norm` or `value`.

    Raises:
        ValueError: for a limit that is not positive or another mode.

    Reference:
        R. Pascanu, T. Mikolov, Y. Bengio, On the difficulty of training recurrent neural networks,
        ICML 2013, algorithm 1. https://arxiv.org/abs/1211.5063
    """

    limit: Annotated[float, Range(0, open_low=True)]
    mode: Annotated[str, Choice("norm", "value")]

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        if self.mode == "value":
            return {name: self._clamped(g) for name, g in view.gradients.items()}
        scale = torch.clamp(self.limit / (global_norm(view.gradients) + 1e-6), max=1)
        # inf / inf: an infinite limit scales nothing, an infinite gradient included.
        scale = torch.nan_to_num(scale, nan=1.0)
        return {name: g * scale for name, g in view.gradients.items()}

    def _clamped(self, g: Tensor) -> Tensor:
        limit = torch.as_tensor(self.limit, dtype=g.dtype, device=g.device)
        return torch.clamp(g, -limit, limit)
