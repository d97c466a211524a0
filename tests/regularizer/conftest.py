"""Data and parameters that tests of several techniques share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regexp.regularizer.base import Tensors


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
