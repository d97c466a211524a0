"""Jacobian penalty by random projections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step, total


@dataclass(frozen=True)
class Jacobian(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Add the size of the outputs' slopes: loss + strength * mean_rows norm_F(dT/dx)^2.

    T are the network's outputs (logits), x its inputs after every `batch` hook. The norm is
    estimated without bias by `projections` random unit vectors v a row, outputs * norm2(v^T J)^2,
    and is exact for a single output. The paper's number is twice ours (its term has 1/2).

    The slopes are those of the network in training mode, with its noise. Batch normalization ties
    rows together: the slopes of a row's outputs by the other rows' inputs then count as well.

    Helps: small noise and small shifts of the inputs change the outputs less, and margins grow;
        on clean test data the gain is small, mostly where rows are few.

    Costs: one more forward pass, and a double backward pass for each projection: with
        one projection about three times the time of a plain step.

    Args:
        strength: per unit of the mean loss of a batch, >= 0, in inverse units of the squared
            slopes: its right size depends on the scale of the inputs.
        projections: random vectors a row, >= 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        J. Hoffman, D. Roberts, S. Yaida, Robust learning with Jacobian regularization, 2019,
        algorithm 1. https://arxiv.org/abs/1908.02729
    """

    strength: Annotated[float, Range(0)]
    projections: Annotated[int, Range(1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        outputs, pull_back = torch.func.vjp(view.network, view.batch.inputs)  # type: ignore[misc]
        terms = []
        for _ in range(self.projections):
            direction = step.rng.normal(outputs.shape).to(outputs.dtype)
            # drawn for each row by itself: a common one would cancel under batch normalization
            (slopes,) = pull_back(F.normalize(direction, dim=1))
            terms.append(slopes.flatten(1).square().sum(1).mean())
        return self.strength * outputs.shape[1] / self.projections * total(terms)
