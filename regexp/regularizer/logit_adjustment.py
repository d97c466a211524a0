"""Logit adjustment for classes of unequal sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step
from regexp.regularizer.training_rows import class_counts


@dataclass(frozen=True)
class LogitAdjustment(
    Regularizer,
    kind="label",
    neutral={"tau": 0.0},
    tasks=("classification",),
    provides=("a loss in place of cross-entropy",),
    refuses=("another loss", "a loss in place of cross-entropy", "weights of classes"),
    uses_rows=True,
):
    """Train on the cross-entropy of z + tau * log(prior), and predict by the outputs z alone.

    The prior of a class is its share of the training rows, each of which counts once; a class
    without a row stands as one with one. The adjusted loss separates rare classes by a larger
    margin. At tau = 1 its minimum has the outputs z whose softmax is p(y | x) / p(y), so that the
    largest z minimizes the balanced error, the mean of the classes' errors. (To adjust the outputs
    of a network that was trained without, in prediction, is another method of the same paper.)

    Weights of classes do the same in another way, and both together too much (theorem 1).

    It stands as a penalty, the difference of both losses; the loss that is reported stays the
    cross-entropy of z. As z forgets how frequent classes are, that loss and the plain accuracy get
    worse where the validation rows are as unequal as those of training.

    Helps: the balanced accuracy (compare.metric=test/balanced_accuracy) where classes are of very
    unequal sizes; the paper has it ahead of weights for classes, which lose their effect once all
    training rows are fitted.

    Costs: nothing to speak of.

    Args:
        tau: scale of the log prior, >= 0; 1 is consistent for the balanced error.

    Raises:
        ValueError: for a negative number.

    Reference:
        A. K. Menon et al., Long-tail learning via logit adjustment, ICLR 2021, eq. 10.
        https://arxiv.org/abs/2007.07314
    """

    tau: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        counts = class_counts(step).clamp(min=1)
        shift = (self.tau * (counts / counts.sum()).log()).to(view.outputs)
        targets = view.batch.targets
        change = view.loss(view.outputs + shift, targets) - view.loss(view.outputs, targets)
        # two slopes that cancel may leave a rounding of them
        changes = torch.as_tensor(self.tau, device=change.device) != 0
        return torch.where(changes, view.batch.mean(change), 0.0)
