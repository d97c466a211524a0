"""Self-distillation from the predictions of the epoch before (PS-KD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Memory, PenaltyView, Range, Regularizer, Step
from regexp.regularizer.training_rows import remembered, rows_of, with_rows


@dataclass(frozen=True)
class SelfDistillation(
    Regularizer,
    kind="label",
    neutral={"share": 0.0},
    tasks=("classification",),
    # the change is that of a whole cross-entropy: of what stands in its place it would be too much
    provides=("targets of its own",),
    refuses=("another loss", "a loss in place of cross-entropy"),
    uses_rows=True,
):
    """Train towards (1 - a) * y + a * p, with p what the network predicted of the row before.

    p is the softmax of the outputs when the row was trained on last, an epoch ago, with the noise
    and the augmentation that it had then, as in the authors' code; in the first epoch it is y. The
    share a grows linearly over the run, as predictions get better: by the share of the steps that
    are done, where the paper's grows from epoch to epoch. The cross-entropy is linear in its
    target, so the change is a penalty, a * mean(H(p, q) - H(y, q)), and the loss that is reported
    stays that against y. Of a row that is mixed with another p is the row's own.

    Helps: calibration, and a little the accuracy, as label smoothing that knows which classes are
    alike; where labels are wrong.

    Costs: a table of probabilities of all training rows, which is written anew in every step.

    Args:
        share: a, in [0, 1]; the paper's goes from 0 to 0.8.

    Raises:
        ValueError: for a share out of its range.

    Reference:
        K. Kim et al., Self-knowledge distillation with progressive refinement of targets, ICCV
        2021, eq. 3 and 5. https://arxiv.org/abs/2006.12000
    """

    share: Annotated[float, Range(0, 1)]

    def penalty(self, step: Step, view: PenaltyView) -> tuple[Tensor, Memory]:
        rows, labels = rows_of(view.batch), view.batch.targets
        now = view.outputs.detach().softmax(-1)
        table = remembered(step, "predictions", now)
        before = table[rows]
        known = before.sum(-1, keepdim=True) > 0
        targets = torch.where(known, before, labels).to(labels)
        change = view.loss(view.outputs, targets) - view.loss(view.outputs, labels)
        return self.share * view.batch.mean(change), {"predictions": with_rows(table, rows, now)}
