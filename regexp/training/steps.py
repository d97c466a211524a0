"""The steps of a stack, each in the fastest way that computes what `train_step` does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from regexp.stack.stack import Stack
from regexp.training.replay import Replay, is_recordable
from regexp.training.train_step import train_step


class Steps:
    """`steps(inputs, targets, weights)` is one step of every run; see `train_step`.

    Args:
        stack: whose runs may leave between two steps.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._step: Callable[..., Tensor] = (
            Replay(stack) if is_recordable(stack) else partial(train_step, stack)
        )

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        return self._step(inputs, targets, weights)
