"""C-Mixup: mixup of rows with like targets, for regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import mixed, mixed_targets, mixing_share


@dataclass(frozen=True)
class CMixup(
    Regularizer,
    kind="input",
    neutral={"alpha": 0.0},
    tasks=("regression",),
    provides=("soft targets",),
    mixes=True,
):
    """Mix rows with rows of like targets: l * (x, y) + (1 - l) * (x, y) of a partner.

    Row i gets the partner j, itself included, with a probability that is proportional to
    exp(-|y_i - y_j|^2 / (2 * bandwidth^2)), the distance being that of all outputs together.
    l ~ Beta(alpha, alpha) is drawn once a batch, as in the authors' code. Partners are of the
    batch, as in the paper's cheaper variant; its other one looks among all training rows, which
    lets small batches find nearer ones. As the bandwidth grows this becomes `mixup`, whose partners
    are a permutation.

    Helps: regression with few rows or shifted test rows, where mixed rows of very unlike targets
    would be wrong; not where a mean of two rows is no sensible row (categories, positions in a
    series).

    Costs: a matrix [rows, rows] a batch, next to nothing for batches of hundreds.

    Args:
        alpha: of the Beta distribution, >= 0; 0 mixes nothing, the paper's is 2 (1.5 once).
        bandwidth: of the Gaussian kernel, in units of the targets as the data set scales them, > 0;
            the authors have 0.05 to 10 for their data sets.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        H. Yao et al., C-Mixup: improving generalization in regression, NeurIPS 2022, eq. 6 and
        algorithm 1. https://arxiv.org/abs/2210.05775
    """

    alpha: Annotated[float, Range(0)]
    bandwidth: Annotated[float, Range(0, open_low=True)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        targets = batch.targets.double().flatten(1)
        distances = (targets[:, None] - targets).square().sum(-1)
        reached = torch.exp(-distances / (2 * self.bandwidth**2)).cumsum(-1)  # [rows, partners]
        share = mixing_share(step.rng, self.alpha)
        drawn = step.rng.uniform((len(targets), 1)).double() * reached[:, -1:]
        partner = (reached <= drawn).sum(-1)
        inputs = mixed(batch.inputs, share, batch.inputs[partner])
        return mixed_targets(batch, share, partner)._replace(inputs=inputs)
