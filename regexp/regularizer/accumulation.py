"""Accumulation of gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Range, Regularizer


@dataclass(frozen=True)
class Accumulation(
    Regularizer,
    kind="schedule",
    neutral={"micro_batches": 1},
    provides=("batch size",),
    refuses=("batch size",),
):
    """Step along the mean gradient of k micro-batches: that of one batch of k times the rows.

    The two are equal by arithmetic, so the batch is simply made larger: nothing is accumulated, the
    counts of steps and the schedules are those of the steps that are made, and rows that do not
    fill the last step weigh as they should (the usual mistake divides their sum by k). What looks
    at a whole batch sees the large one: batch normalization its statistics (`ghost_batch_norm` has
    those of micro-batches), mixup and its like their partners. It saves no memory, which is what
    accumulation is for elsewhere; here it asks what a larger effective batch does.

    Helps: where gradients are too noisy for the learning rate; a larger batch regularizes less.

    Costs: less time than none (fewer, larger steps); memory as for the larger batch.

    Args:
        micro_batches: k, of trainer.batch_size rows each, >= 1.

    Raises:
        ValueError: for a number below 1.

    Reference:
        P. Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour (2017), section
        2.1 and 3. https://arxiv.org/abs/1706.02677
    """

    micro_batches: Annotated[int, Range(1)]

    def batch_size(self, epoch: int, batch_size: int) -> int:
        return self.micro_batches * batch_size
