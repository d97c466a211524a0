"""The steps of a stack, each in the fastest way that computes what `train_step` does."""

from __future__ import annotations

from torch import Tensor

from regexp.stack.stack import Stack
from regexp.training.train_step import train_step


class Steps:
    """`steps(inputs, targets, weights)` is one step of every run; see `train_step`.

    Args:
        stack: whose runs may leave between two steps.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def __call__(self, inputs: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
        return train_step(self.stack, inputs, targets, weights)
