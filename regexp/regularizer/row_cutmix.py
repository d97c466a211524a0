"""CutMix of the rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import mixed_targets


@dataclass(frozen=True)
class RowCutMix(
    Regularizer,
    kind="input",
    neutral={"p": 0.0},
    data=("table",),
    provides=("soft targets",),
    mixes=True,
):
    """Give all rows of a batch some features of other rows, and mix the targets by their number.

    With probability p a batch gets one set of features and one permutation for partners. The set's
    size is max(1, floor(l * features)) with l uniform in [0, 1), so that one feature at least
    comes from the partner, and one stays where there are several; the target is
    s * y + (1 - s) * y of the partner, s being the share of features that stay. The authors draw
    the set among all features but the first; here every feature may be in it. Every number is a
    feature, so the columns of one category may come from different rows. `swap_noise` swaps each
    value by itself and leaves the targets.

    Helps: as `mixup` does, and where a mean of two rows is no sensible row; in a cocktail of
    techniques that is tuned for each table.

    Costs: one permuted copy of the rows, next to nothing.

    Args:
        p: probability that a batch is mixed, in [0, 1]; the authors search it there.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        A. Kadra, M. Lindauer, F. Hutter, J. Grabocka, Well-tuned simple nets excel on tabular
        datasets, NeurIPS 2021, appendix; `RowCutMixTrainer` of Auto-PyTorch.
        https://arxiv.org/abs/2106.11189
    """

    p: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        rows, rng = batch.inputs, step.rng
        features = rows.shape[-1]
        mixes = rng.uniform(()) < self.p
        count = rng.integers(features, ()).clamp(min=1)
        taken = mixes & (rng.permutation(features) < count)
        partner = rng.permutation(len(rows))
        share = 1 - taken.to(batch.targets.dtype).mean()
        mixture = mixed_targets(batch, share, partner)
        inputs = torch.where(taken, rows[partner], rows)
        targets = torch.where(share < 1, mixture.targets, batch.targets)
        return mixture._replace(inputs=inputs, targets=targets)
