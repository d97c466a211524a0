"""Growth of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from regexp.regularizer.base import Regularizer, check_range


@dataclass(frozen=True)
class BatchGrowth(Regularizer):
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

    neutral: ClassVar[Mapping[str, Any] | None] = {"factor": 1}
    kind: ClassVar[str] = "schedule"
    provides: ClassVar[tuple[str, ...]] = ("batch size",)
    refuses: ClassVar[tuple[str, ...]] = ("batch size",)

    factor: int
    every: int

    def check(self) -> None:
        check_range("regularizer.batch_growth.factor", self.factor, 1)
        check_range("regularizer.batch_growth.every", self.every, 1)

    def batch_size(self, epoch: int, batch_size: int) -> int:
        return batch_size * self.factor ** (epoch // self.every)
