"""Adaptive gradient clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import (
    GradientView,
    Layout,
    NotApplicable,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
    parameter_kinds,
    weights,
)
from regexp.regularizer.common import in_order, owner, unit_norms


@dataclass(frozen=True)
class AdaptiveGradientClipping(Regularizer, kind="gradient", neutral={"limit": math.inf}):
    """Bound each unit's gradient by its weights: g * min(1, limit * norm2(w) / norm2(g)) a unit.

    norm2(w) is that of the unit's incoming weights, at least `eps`, so that zeros can move.
    torch stores weights as [units, incoming ...]: norms are over all axes but the first. The biases
    of a layer are one unit, as in the authors' code, and so are the scales of a normalization, of
    however many axes, and other vectors. The output layer, its bias included, is not clipped: it is
    the last with weights in the order of the model's parameters.

    Helps: networks without normalization at large learning rates and batches; with normalization
        there is little to gain.
    Costs: two norms of the parameters each step.

    Args:
        limit: largest ratio of the gradient's norm to the weights', > 0.
        eps: least norm that weights are taken to have, > 0.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: if the output layer is the model's only one.

    Reference:
        A. Brock et al., High-performance large-scale image recognition without normalization, ICML
        2021, eq. 3. https://arxiv.org/abs/2102.06171
    """

    limit: Annotated[float, Range(0, open_low=True)]
    eps: Annotated[float, Range(0, open_low=True)]

    def build(self, model: nn.Module) -> nn.Module:
        parameters: Tensors = dict(model.named_parameters())
        kinds = parameter_kinds(model)
        if weights(parameters, kinds).keys() <= _of_output(parameters, kinds):
            raise NotApplicable(
                "the output layer, which is not clipped, is all that the model has",
                key="regularizer.adaptive_gradient_clipping",
                cure="use gradient_clipping",
            )
        return model

    def gradient(self, step: Step, view: GradientView) -> Tensors:
        output = _of_output(view.parameters, step.kinds)
        clipped = {
            name: self._clipped(g, view.parameters[name], step.kinds[name], step.layout(name))
            for name, g in view.gradients.items()
            if name not in output
        }
        return view.gradients | clipped

    def _clipped(self, g: Tensor, w: Tensor, kind: str, layout: Layout) -> Tensor:
        g, w = layout.units_first(g), layout.units_first(w)
        # tensors of w's type: numbers that differ within a stack come in float64
        limit, eps = (
            torch.as_tensor(x, dtype=w.dtype, device=w.device) for x in (self.limit, self.eps)
        )
        bound = limit * torch.maximum(_norms(w, kind), eps)
        norms = _norms(g, kind)
        return layout.units_first(g * torch.where(norms > bound, bound / norms, 1.0))


def _of_output(parameters: Tensors, kinds: ParameterKinds) -> set[str]:
    """The names of the output layer's parameters."""
    names, matrices = in_order(parameters, kinds), weights(parameters, kinds)
    last = [name for name in names if name in matrices][-1]
    after = names[names.index(last) + 1 :]
    # of a weight that layers share, the bias is of a layer of another name
    biases = takewhile(lambda name: kinds[name] == "bias", after)
    return {*biases, *(name for name in names if owner(name) == owner(last))}


def _norms(x: Tensor, kind: str) -> Tensor:
    """[units, 1 ...], or of no dimension for what is one unit."""
    one = x.ndim < 2 or kind in ("bias", "normalization")
    return torch.linalg.vector_norm(x) if one else unit_norms(x)
