"""What the tests of the techniques share: a technique from its YAML, a step, a view, a fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from regexp.random import Rng
from regexp.regularizer.base import Batch, PenaltyView, Step, Tensors
from tests import support


@pytest.fixture
def technique() -> Callable[..., Any]:
    """`technique(name, **changes)`: as its YAML says, with some values changed."""
    return support.technique


@pytest.fixture
def make_step() -> Callable[..., Step]:
    """`make_step(index=0, learning_rate=0.1, memory=None, seed=0, epoch=0, ends_epoch=False)`."""

    def make(
        index: int = 0,
        learning_rate: float | Tensor = 0.1,
        memory: Any = None,
        seed: int = 0,
        epoch: int = 0,
        ends_epoch: bool = False,
    ) -> Step:
        own, shared = Rng(seed, "test", index), Rng(seed, "test", index, "shared")
        memory = {} if memory is None else memory
        return Step(own, shared, index, 100, epoch, ends_epoch, learning_rate, memory)

    return make


@pytest.fixture
def make_view() -> Callable[..., PenaltyView]:
    """`make_view(parameters)`: of a penalty that looks at parameters alone."""

    def make(parameters: Tensors) -> PenaltyView:
        nothing = torch.zeros(0, 0)
        unused = lambda *arguments: pytest.fail("a penalty on weights must not call the network")
        return PenaltyView(parameters, nothing, Batch(nothing, nothing), unused, unused, {})

    return make


@pytest.fixture
def minimize() -> Callable[..., Tensor]:
    """`minimize(objective, start)`: the minimum of a smooth convex function, to rounding."""

    def run(objective: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
        point = start.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [point], max_iter=500, tolerance_grad=1e-14, tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = objective(point)
            loss.backward()
            return loss

        optimizer.step(closure)
        return point.detach()

    return run


@pytest.fixture
def regression() -> tuple[Tensor, Tensor]:
    """Inputs [60, 8] and targets [60] of a linear model with noise, some weights zero; float64."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 8, generator=generator, dtype=torch.float64)
    w = torch.tensor([2.0, -1.5, 1.0, 0, 0, 0, 0.3, 0], dtype=torch.float64)
    y = x @ w + 0.5 * torch.randn(60, generator=generator, dtype=torch.float64)
    return x, y


@pytest.fixture
def network() -> Tensors:
    """Parameters of a small network: two linear layers, one normalization; float64."""
    generator = torch.Generator().manual_seed(1)
    shapes = {
        "0.weight": (4, 3), "0.bias": (4,), "norm.weight": (4,), "norm.bias": (4,),
        "1.weight": (2, 4), "1.bias": (2,),
    }  # fmt: skip
    return {
        name: torch.randn(shape, generator=generator, dtype=torch.float64)
        for name, shape in shapes.items()
    }
