"""Orthogonality penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step, total, weights
from regexp.regularizer.common import check_own_scale


@dataclass(frozen=True)
class Orthogonal(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Pull weight matrices to orthogonal ones: loss + strength * sum norm_F(W W^T - I)^2.

    W is [units, inputs]; a convolution's is [filters, channels * height * width]. A tall matrix
    (more units than inputs) cannot have orthonormal rows, so W^T W - I is taken there: the two
    values differ by a constant, and the gradient 4 * (W W^T - I) W is the same. The norm is squared
    and not divided by the size, as in Bansal et al.; Brock et al. sum absolute values.

    Helps: deep networks whose gradients shrink or grow, where singular values of 1 keep their
        size; shallow ones gain little, and small networks lose freedom.

    Costs: one product of each weight matrix with itself a step, as much as a pass of as many rows
        as the layer has units: little only where batches are larger than layers are wide.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative strength.

    Reference:
        A. Brock et al., Neural photo editing with introspective adversarial networks, ICLR 2017,
        section 3.3. https://arxiv.org/abs/1609.07093
        N. Bansal, X. Chen, Z. Wang, Can we gain more from orthogonality regularizations in training
        deep CNNs?, NeurIPS 2018, section 3.1. https://arxiv.org/abs/1810.09102
    """

    strength: Annotated[float, Range(0)]

    def check_model(self, model: nn.Module) -> None:
        check_own_scale("orthogonal", model)

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds).items()
        matrices = [step.layout(name).units_first(w) for name, w in selected]
        return self.strength * total([_distance(w) for w in matrices])


def _distance(w: Tensor) -> Tensor:
    """norm_F(W W^T - I)^2 on the smaller side of W. `w`: [units, inputs, ...]."""
    w = w.flatten(1)
    wide = w if w.shape[0] <= w.shape[1] else w.T
    identity = torch.eye(len(wide), dtype=w.dtype, device=w.device)
    return (wide @ wide.T - identity).square().sum()
