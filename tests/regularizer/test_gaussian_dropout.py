"""Gaussian dropout: its noise against scipy's normal law, its expectation against scaled ridge."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from regexp.model.layers import fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.gaussian_dropout import GaussianDropoutLayer
from tests.support import technique


def filled(p: float, x: torch.Tensor) -> GaussianDropoutLayer:
    layer = GaussianDropoutLayer(p)
    note_shapes(layer, x)
    fill_noise(layer, Rng(0, "noise"), len(x))
    return layer


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_noise_is_normal_with_the_moments_of_dropouts_mask(share):
    noise = filled(share, torch.zeros(400, 50)).noise.flatten().double().numpy()
    deviation = math.sqrt(share / (1 - share))
    assert stats.kstest(noise, stats.norm(1, deviation).cdf).pvalue > 1e-3
    assert abs(noise.mean() - 1) < 4 * deviation / math.sqrt(noise.size)
    mask = np.array([0, 1 / (1 - share)])  # dropout's, with chances p and 1 - p
    chance = np.array([share, 1 - share])
    assert chance @ mask == pytest.approx(1)
    assert chance @ (mask - 1) ** 2 == pytest.approx(deviation**2)


def test_expectation_for_a_linear_model_is_the_scaled_ridge_of_dropout():
    """E |y - (X * noise) w|^2 by Gauss-Hermite quadrature, exact for polynomials of degree 2."""
    share = 0.3
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(10, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(10, generator=generator, dtype=torch.float64)
    w = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    nodes, weights = np.polynomial.hermite_e.hermegauss(2)
    weights = weights / weights.sum()
    layer = GaussianDropoutLayer(share)
    expected = torch.zeros((), dtype=torch.float64)

    class Fixed(Rng):
        def normal(self, shape):
            return torch.tensor(point, dtype=torch.float64).expand(tuple(shape))

    note_shapes(layer, x)
    for chosen in itertools.product(range(2), repeat=3):
        point = [nodes[i] for i in chosen]
        layer.noise = layer.draw(Fixed(0), 10)
        chance = math.prod(weights[i] for i in chosen)
        expected += chance * (y - layer(x) @ w).square().sum()
    ridge = share / (1 - share) * (w.square() * x.square().sum(0)).sum()
    torch.testing.assert_close(expected, (y - x @ w).square().sum() + ridge, rtol=1e-12, atol=0)


def test_stands_after_every_hidden_activation():
    model = technique("gaussian_dropout", p=0.1).build(MLP([8], 3, [16, 16], "relu"))
    layers = {n: m.p for n, m in model.named_modules() if isinstance(m, GaussianDropoutLayer)}
    assert layers == {"hidden.0.dropout.0": 0.1, "hidden.1.dropout.0": 0.1}
