"""Noise on the labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class LabelNoise(Regularizer, kind="label", neutral={"p": 0.0}, tasks=("classification",)):
    """Give a row, with probability p, another class than its own, drawn uniformly; anew each step.

    The mean of the targets is that of label smoothing with e = p * K / (K - 1) over K classes. The
    paper draws among all K classes, the own one included: its rate is that e. Soft targets of
    another technique are rolled whole. This is no study of data with wrong labels, whose errors
    would stay the same from epoch to epoch.

    Helps: as label smoothing does, with noise in the gradient beside it; more classes bear more.

    Costs: nothing to speak of.

    Args:
        p: share of the rows of a batch that is changed, in [0, 1].

    Raises:
        ValueError: for a share out of its range.

    Reference:
        L. Xie et al., DisturbLabel: regularizing CNN on the loss layer, CVPR 2016, section 3.
        https://arxiv.org/abs/1605.00055
    """

    p: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        rows, classes = batch.targets.shape
        flipped = step.rng.uniform((rows,)) < self.p
        shift = torch.where(flipped, 1 + step.rng.integers(classes - 1, (rows,)), 0)
        column = torch.arange(classes, device=shift.device)
        rolled = batch.targets.gather(1, (column - shift.unsqueeze(1)) % classes)
        return batch._replace(targets=rolled)
