"""The steps of a stack, each in the fastest way that computes what `train_step` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from regexp.stack.rows import NumberedRows
from regexp.stack.stack import Stack
from regexp.training.chain.program import Epoch, Program
from regexp.training.replay import Replay, is_recordable
from regexp.training.train_step import train_step

AUTO = "auto"
"""The value of `trainer.step` by which steps may round otherwise than those of `train_step`."""


class Steps:
    """Makes the steps of every run, to the bits of `train_step` but for those of a program.

    Args:
        stack: whose runs may leave between two epochs.
        way: a value of `trainer.step`.
    """

    def __init__(self, stack: Stack, way: str = AUTO) -> None:
        self.stack = stack
        self._program = Program.of(stack) if way == AUTO else None
        stack.optimizers.joins = way == AUTO
        recordable = is_recordable(stack)
        # a module, loss or penalty of somebody's own may take gradients of gradients
        stack.differentiates_once = recordable and not stack.regularizer.uses("penalty")
        self._step: Callable[..., Tensor] = (
            Replay(stack) if recordable else partial(train_step, stack)
        )

    def epoch(self) -> Epoch:
        """One step on every batch of the stack's epoch."""
        if self._program is not None:
            return self._program.epoch()
        losses, rows, rate = [], [], self.stack.learning_rate
        for batch in self.stack.batches():
            rate = self.stack.learning_rate
            losses.append(self.step(batch))
            rows.append(self.stack.count(batch[0]))
        return Epoch(losses, rows, rate)

    def step(self, batch: NumberedRows) -> Tensor:
        """One step on a batch of `Stack.batches`; the runs' losses, [runs]."""
        return self._step(*batch)
