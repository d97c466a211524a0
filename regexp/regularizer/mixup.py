"""Mixup of pairs of rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Regularizer, Step, check_range


@dataclass(frozen=True)
class Mixup(Regularizer):
    """Train on mixed rows: l * (x, y) + (1 - l) * (x, y) of another row, l ~ Beta(alpha, alpha).

    l is drawn once a batch and the partners are one permutation of it, as in the authors' code
    (the paper's eq. 1 draws l a pair). Targets are mixed as probabilities; training accuracy on
    mixed rows has no hard label to compare with and means little.

    Args:
        alpha: of the Beta distribution, >= 0; 0 mixes nothing, 1 mixes uniformly.

    Raises:
        ValueError: for a negative number.

    Reference:
        H. Zhang et al., mixup: beyond empirical risk minimization, ICLR 2018, section 2.
        https://arxiv.org/abs/1710.09412
    """

    neutral: ClassVar[Mapping[str, Any] | None] = {"alpha": 0.0}

    alpha: float

    def check(self) -> None:
        check_range("regularizer.mixup.alpha", self.alpha, 0)

    def batch(self, step: Step, batch: Batch) -> Batch:
        alpha = torch.as_tensor(self.alpha, dtype=torch.float64, device=batch.inputs.device)
        # Beta(0, 0) has no density, but its limit is known: all of one row.
        share = step.rng.beta(alpha.clamp(min=1e-3), alpha.clamp(min=1e-3), ())
        share = torch.where(alpha > 0, share, 1.0)
        partner = step.rng.permutation(len(batch.inputs))
        return Batch(*(_mix(values, share, partner) for values in batch))


def _mix(values: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    share = share.to(values.dtype)
    return share * values + (1 - share) * values[partner]
