"""ShakeDrop: an autograd function with the paper's two passes; the laws of its factors by scipy."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from regexp.model.layers import fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from regexp.regularizer.shake_drop import ShakeDropLayer
from tests.support import technique


class TwoPasses(torch.autograd.Function):
    """Another factor in the backward pass than in the forward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, forward: Tensor, backward: Tensor) -> Tensor:
        ctx.save_for_backward(backward)
        return forward * x

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        return ctx.saved_tensors[0] * slopes[0], None, None


def layers(model: nn.Module) -> list[ShakeDropLayer]:
    return [module for module in model.modules() if isinstance(module, ShakeDropLayer)]


def network(depth: int, p: float, rows: int) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    model = technique("shake_drop", p=p).build(ResNetMLP([8], 3, 6, 5, depth, "relu")).double()
    x = torch.randn(rows, 8, dtype=torch.float64)
    note_shapes(model, x)
    fill_noise(model, Rng(0, "noise"), rows)
    return model, x


def test_rates_are_linear_in_depth():
    model, _ = network(4, 0.4, 2)
    assert [layer.p for layer in layers(model)] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_factors_have_the_papers_laws():
    rows, p = 4000, 0.4
    model, _ = network(1, p, rows)
    noise = layers(model)[0].noise
    assert noise.shape == (rows, 1, 2)
    forward, backward = noise[:, 0].unbind(-1)
    shaken = forward != 1
    assert torch.equal(shaken, backward != 1)
    assert abs(shaken.double().mean() - p) < 4 * (p * (1 - p) / rows) ** 0.5
    a, b = forward[shaken].numpy(), backward[shaken].numpy()
    assert stats.kstest(a, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert stats.kstest(b, stats.uniform(0, 1).cdf).pvalue > 1e-3
    assert stats.pearsonr(a, b).pvalue > 1e-3
    # what evaluation takes instead is the mean
    assert abs(forward.double().mean() - (1 - p)) < 4 * float(forward.std()) / rows**0.5


def test_forwards_and_backwards_have_factors_of_their_own():
    model, x = network(1, 0.9, 50)
    residual, [layer] = model.residual[0], layers(model)
    h = model.embedding(x)
    forward, backward = layer.noise.double().unbind(-1)
    expected = h + TwoPasses.apply(residual.branch(h), forward, backward)
    ours = residual(h)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
    weights = list(residual.parameters())
    slopes = [torch.autograd.grad(y.sin().sum(), weights, retain_graph=True)
              for y in (ours, expected)]  # fmt: skip
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-12)
    assert float(slopes[0][0].abs().max()) > 0.01


def test_evaluation_has_the_expected_factor():
    model, x = network(2, 0.5, 7)
    model.eval()
    h = model.embedding(x)
    for residual, p in zip(model.residual, (0.25, 0.5), strict=True):
        torch.testing.assert_close(residual(h), h + (1 - p) * residual.branch(h))


def test_models_without_branches_are_told():
    with pytest.raises(NotApplicable, match="model=resnet_mlp"):
        technique("shake_drop").build(MLP([8], 3, [16], "relu"))
