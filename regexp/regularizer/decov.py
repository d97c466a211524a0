"""DeCov: decorrelate hidden activations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step, total


@dataclass(frozen=True)
class DeCov(Regularizer, kind="penalty", neutral={"strength": 0.0}, uses_hidden=True):
    """Add the covariances between hidden units: loss + strength * 1/2 sum_{i != j} C_ij^2.

    C is the covariance of a hidden block's outputs over the batch, divided by the number of rows
    (not rows - 1); the sum is (norm_F(C)^2 - norm2(diag C)^2) / 2, added up over the blocks.
    Variances are left alone. Of images the channels are taken, with each pixel as a row; of
    sequences the features, with each time as a row: C stays small, where the paper has hidden
    linear layers alone.

    Helps: wide layers trained on few rows, whose units learn the same thing; little beside
        dropout, which decorrelates too. Batches should have more rows than a layer has units.

    Costs: one product of the activations with themselves a block, about that of a linear layer of
        as many inputs as units.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative strength.
        NotApplicable: for a model without hidden blocks.

    Reference:
        M. Cogswell et al., Reducing overfitting in deep networks by decorrelating representations,
        ICLR 2016, eq. 1-2. https://arxiv.org/abs/1511.06068
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        dtype = view.outputs.dtype  # under autocast activations are short
        terms = [_off_diagonal(_samples(h).to(dtype)) for h in view.hidden.values()]
        return self.strength / 2 * total(terms)


def _samples(h: Tensor) -> Tensor:
    """Rows [n, features] of [rows, (time,) features] or [rows, features, height, width]."""
    return (h.movedim(1, -1) if h.ndim == 4 else h).flatten(0, -2)


def _off_diagonal(h: Tensor) -> Tensor:
    """The sum of the squared covariances of different columns. `h`: [n, features]."""
    centred = h - h.mean(0)
    covariance = centred.T @ centred / len(h)
    identity = torch.eye(len(covariance), dtype=h.dtype, device=h.device)
    return (covariance * (1 - identity)).square().sum()
