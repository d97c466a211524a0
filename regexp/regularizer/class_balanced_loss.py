"""Class-balanced loss: weights of classes by their effective numbers of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.training_rows import class_counts


@dataclass(frozen=True)
class ClassBalancedLoss(
    Regularizer,
    kind="label",
    neutral={"beta": 0.0},
    tasks=("classification",),
    provides=("weights of classes",),
    uses_rows=True,
):
    """Let each row count by the inverse of the effective number of rows of its class.

    A class of n training rows has the weight (1 - beta) / (1 - beta^n): the inverse of 1 + beta +
    ... + beta^(n-1), which counts a row the less the more there are already. beta = 0 weighs all
    classes alike, and beta -> 1 by the inverse of their sizes, as trainer.class_weight=balanced
    does. The weights of the classes that have rows add up to their number, as in the paper: where
    classes are very unequal the mean weight of a row is far below 1 (.04 of 990 and 10 rows with
    beta -> 1), so that the loss counts less beside penalties and clipping than with
    trainer.class_weight=balanced. They are multiplied with those that rows have already, and hold
    for whatever loss is trained on: beside `focal_loss` it is the paper's class-balanced focal
    loss. A row with soft targets has the mean weight of its classes, as the techniques listed
    before have made them: list it before those that change labels. The training loss that is
    reported is the weighted one, the others count each row once.

    Helps: classes of very unequal sizes, where the balanced accuracy is asked for. A tuned beta is
    milder than the inverse of the sizes, which gives few rows too much to say.

    Costs: nothing to speak of.

    Args:
        beta: in [0, 1). With the default, classes of up to some hundreds of rows are weighted by
            the inverse of their sizes, and from some thousands on alike.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        Y. Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019, eq. 2
        and section 4. https://arxiv.org/abs/1901.05555
    """

    beta: Annotated[float, Range(0, 1, open_high=True)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        counts = class_counts(step)
        present = counts > 0
        weights = (1 - self.beta) / (1 - self.beta ** counts.clamp(min=1))
        scale = present.sum() / torch.where(present, weights, 0).sum()
        weights = torch.where(present, weights * scale, 1.0).to(batch.targets)
        of_rows = (batch.targets * weights).sum(-1)
        return batch._replace(weights=of_rows if batch.weights is None else of_rows * batch.weights)
