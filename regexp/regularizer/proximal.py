"""Proximal steps: penalties that set weights, or whole groups of them, to exactly zero."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Choice,
    Include,
    Layout,
    Range,
    Regularizer,
    Step,
    Tensors,
    weights,
)
from regexp.regularizer.common import unit_norms


@dataclass(frozen=True)
class ProximalL1(
    Regularizer,
    kind="sparsity",
    neutral={"strength": 0.0},
    refuses=("weights that are shifted", "learning rates by layer"),  # a threshold has the run's
):
    """Soft thresholding after every step: w <- sign(w) * max(|w| - lr * strength, 0).

    This is the proximal step of strength * sum |w|, so with plain gradient steps the training is
    ISTA: it has the optimum of `l1`, and unlike `l1` it reaches the zeros. With momentum m, SGD's
    steps are 1 / (1 - m) times as long, and the optimum is that of a strength of
    (1 - m) * strength. With adaptive optimizers the threshold stays lr * strength, as decoupled
    decay does: it is not scaled by the gradients' size. In a cocktail it comes after decay,
    wherever it is listed, for decay would take a share of the old weight from a new zero; averaged
    weights (`ema`, `swa`) are zero only where all were.

    Helps: where few inputs or weights matter and a sparse network is wanted; accuracy is at best
        that of `l1`.
    Costs: a few elementwise operations on the weights each step.

    Args:
        strength: per unit of the mean loss of a batch, >= 0; the scale of `l1`.
        include: `weights` (no biases, no normalization parameters), or `all` parameters.

    Raises:
        ValueError: for a negative strength or another `include`.

    Reference:
        N. Parikh, S. Boyd, Proximal algorithms, Foundations and Trends in Optimization 1 (2014),
        sections 4.2 and 6.5.2. https://web.stanford.edu/~boyd/papers/prox_algs.html
    """

    strength: Annotated[float, Range(0)]
    include: Include

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        threshold = step.learning_rate * self.strength
        selected = weights(new, step.kinds, self.include)
        return new | {n: w.sign() * (w.abs() - threshold).relu() for n, w in selected.items()}


@dataclass(frozen=True)
class ProximalGroupLasso(
    Regularizer,
    kind="sparsity",
    neutral={"strength": 0.0},
    refuses=("weights that are shifted", "learning rates by layer"),  # a threshold has the run's
):
    """Shrink groups of weights, whole ones to zero: w_g * max(0, 1 - lr * s_g / norm2(w_g)).

    s_g = strength * sqrt(size of the group). This is the proximal step of
    strength * sum_g sqrt(size_g) * norm2(w_g), the penalty of the group lasso, whose optimum it
    reaches by plain gradient steps, zeros included. Momentum and adaptive optimizers change what a
    strength means as for `proximal_l1`, and its place in a cocktail is the same.

    A group is all that leaves one input feature, unit or channel within a layer (`outgoing`: zero
    groups of the first layer are inputs that are not used), or all that enters one unit
    (`incoming`: a zero group is a unit that computes its bias alone).

    Helps: to select input features or to find how many units a layer needs.
    Costs: one norm of the weights each step.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.
        groups: `outgoing` or `incoming`.

    Raises:
        ValueError: for a negative strength or other `groups`.

    Reference:
        M. Yuan, Y. Lin, Model selection and estimation in regression with grouped variables, JRSS
        B 68 (2006), eq. 2.1; S. Scardapane et al., Group sparse regularization for deep neural
        networks, Neurocomputing 241 (2017), eq. 6. https://arxiv.org/abs/1607.00485. The step:
        N. Parikh, S. Boyd, Proximal algorithms, 2014, section 6.5.1.
    """

    strength: Annotated[float, Range(0)]
    groups: Annotated[str, Choice("outgoing", "incoming")]

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        threshold = step.learning_rate * self.strength
        return new | {
            name: self._shrunk(w, step.layout(name), threshold)
            for name, w in weights(new, step.kinds).items()
        }

    def _shrunk(self, w: Tensor, layout: Layout, threshold: float | Tensor) -> Tensor:
        first = layout.inputs_first if self.groups == "outgoing" else layout.units_first
        w = first(w)
        # 0 / 0 of a group of zeros is not a number, and shrinks nothing
        share = torch.nan_to_num(threshold * math.sqrt(w[0].numel()) / unit_norms(w), nan=0.0)
        return first(w * (1 - share.clamp(max=1)))
