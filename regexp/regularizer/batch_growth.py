"""Growth of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Range, Regularizer


@dataclass(frozen=True)
class BatchGrowth(
    Regularizer,
    kind="schedule",
    neutral={"factor": 1},
    provides=("batch size",),
    refuses=("batch size",),
):
    """Grow the batch by `factor` every so many epochs: rows * factor^(epoch // every).

    The noise of stochastic gradients goes as learning rate / rows, so growing the batch cools the
    training as a falling learning rate does, in fewer steps. It stands in the place of a schedule:
    with scheduler=constant, or both cool. A batch is never larger than the training split. All runs
    of a stack share it, so the numbers are whole.

    Helps: where steps are dear and larger batches are not (accelerators); as a regularizer it keeps
    the noise of small batches for the first epochs. Not with few rows: the last batches hold all.

    Costs: less time than none, by the steps that it saves; memory grows with the batch.

    Args:
        factor: by which the rows grow, >= 1.
        every: epochs between two growths, >= 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        S. Smith et al., Don't decay the learning rate, increase the batch size, ICLR 2018, section
        3 and 5.1 (there by 5, three times). https://arxiv.org/abs/1711.00489
    """

    factor: Annotated[int, Range(1)]
    every: Annotated[int, Range(1)]

    def batch_size(self, epoch: int, batch_size: int) -> int:
        return batch_size * self.factor ** (epoch // self.every)
