"""Stochastic depth: rates l / L * p, and the exact expectation over all masks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from regexp.model.layers import DropoutLayer, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from tests.support import technique


def network(depth: int = 4, activation: str = "relu") -> Any:
    torch.manual_seed(0)
    return ResNetMLP([8], 3, 6, 5, depth, activation)


def paths(model: nn.Module) -> dict[str, DropoutLayer]:
    return {n: m for n, m in model.named_modules() if isinstance(m, DropoutLayer)}


def test_rates_are_linear_in_depth():
    model = technique("stochastic_depth", p=0.4).build(network())
    assert {name: layer.p for name, layer in paths(model).items()} == {
        f"residual.{index}.drop.0": pytest.approx(0.4 * (index + 1) / 4) for index in range(4)
    }


def test_drops_the_branch_of_whole_rows():
    rows = 500
    x = torch.randn(rows, 8)
    model = technique("stochastic_depth", p=0.4).build(network(1))
    note_shapes(model, x)
    fill_noise(model, Rng(0, "noise"), rows)
    (layer,) = paths(model).values()
    assert layer.noise.shape == (rows, 1)
    gone = layer.noise[:, 0] == 0
    assert abs(gone.double().mean() - 0.4) < 4 * (0.4 * 0.6 / rows) ** 0.5
    residual, h = model.residual[0], model.embedding(x)
    assert torch.equal(residual(h)[gone], h[gone])
    expected = h + residual.branch(h) / 0.6
    torch.testing.assert_close(residual(h)[~gone], expected[~gone], rtol=0, atol=2e-5)


def test_expectation_over_all_masks_is_the_whole_network():
    """Exact for linear branches: with their products, E of the network is the network of E."""
    model = technique("stochastic_depth", p=0.5).build(network(3, "identity")).double()
    x = torch.randn(7, 8, dtype=torch.float64)
    layers = list(paths(model).values())
    mean = torch.zeros(7, 3, dtype=torch.float64)
    for kept in itertools.product([False, True], repeat=3):
        chance = 1.0
        for layer, keeps in zip(layers, kept, strict=True):
            layer.noise = torch.full((7, 1), keeps / (1 - layer.p), dtype=torch.float64)
            chance *= 1 - layer.p if keeps else layer.p
        mean += chance * model(x).detach()
    torch.testing.assert_close(mean, model.eval()(x), rtol=1e-12, atol=1e-12)


def test_models_without_branches_are_told():
    with pytest.raises(NotApplicable, match="model=resnet_mlp"):
        technique("stochastic_depth").build(MLP([8], 3, [16], "relu"))
