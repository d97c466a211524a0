"""Gradients of a small function that is not quadratic, and techniques that follow them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from regexp.regularizer.base import GradientView, Regularizer, Tensors
from tests.support import make_step

Rule = Callable[[int, Tensor, Callable[[Tensor], Tensor]], Tensor]
"""`rule(step, w, gradient)`: the gradient to use at w [7], where `gradient` gives the ordinary one
of that step."""


def gradient_of(index: int, w: Tensor) -> Tensor:
    """Of sum cos(A w) + w'w / 2, with another A in each step."""
    a = torch.randn(9, 7, generator=torch.Generator().manual_seed(index), dtype=torch.float64)
    return w - a.T @ (a @ w).sin()


def assert_follows(made: Regularizer, rule: Rule, steps: int = 30) -> list[int]:
    """A technique gives a rule's gradients along its way, of two parameters that are one vector.

    Returns:
        How many gradients it asked for in each step, beside the one that it was given.
    """
    memory, calls = made.init(split(torch.zeros(7).double()), {}), []
    w = torch.linspace(-1, 1, 7, dtype=torch.float64)
    for index in range(steps):
        asked = 0

        def regradient(at: Tensors, index: int = index) -> Tensors:
            nonlocal asked
            asked += 1
            return split(gradient_of(index, joined(at)))

        step = replace(make_step(index, memory=memory), steps=steps)
        view = GradientView(split(gradient_of(index, w)), split(w), regradient)
        given = made.gradient(step, view)
        gradients, memory = given if isinstance(given, tuple) else (given, memory)
        expected = rule(index, w, partial(gradient_of, index))
        torch.testing.assert_close(joined(gradients), expected, rtol=1e-10, atol=1e-12)
        calls.append(asked)
        w = w - 0.05 * expected
    return calls


def split(w: Tensor) -> Tensors:
    return {"0.weight": w[:6].view(2, 3), "0.bias": w[6:]}


def joined(tensors: Tensors) -> Tensor:
    return torch.cat([tensors["0.weight"].flatten(), tensors["0.bias"]])
