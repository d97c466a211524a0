"""Cutout of the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class RowCutout(Regularizer, kind="input", neutral={"p": 0.0}, data=("table",)):
    """Set some features of all rows of a batch to 0.

    With probability p a batch gets one set of max(1, round(share * features)) features, drawn
    uniformly. Zero is the mean of a standardized feature. The authors round down, and draw among
    all features but the first; here every feature may be in the set. Every number is a feature, so
    the columns of one category are cut one by one. `feature_mask` has a coin for each value of each
    row instead.

    Helps: tables of redundant features, in a cocktail of techniques that is tuned for each table;
    not where one feature alone decides the target.

    Costs: next to nothing.

    Args:
        p: probability that a batch is cut, in [0, 1].
        share: of the features that are cut, in (0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        A. Kadra, M. Lindauer, F. Hutter, J. Grabocka, Well-tuned simple nets excel on tabular
        datasets, NeurIPS 2021, appendix; `RowCutOutTrainer` of Auto-PyTorch.
        https://arxiv.org/abs/2106.11189
    """

    p: Annotated[float, Range(0, 1)]
    share: Annotated[float, Range(0, 1, open_low=True)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        features = batch.inputs.shape[-1]
        cuts = step.rng.uniform(()) < self.p
        share = torch.as_tensor(self.share, dtype=torch.float64, device=batch.inputs.device)
        count = (share * features).round().clamp(min=1)
        cut = cuts & (step.rng.permutation(features) < count)
        return batch._replace(inputs=torch.where(cut, 0, batch.inputs))
