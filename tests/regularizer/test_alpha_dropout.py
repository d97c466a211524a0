"""Alpha dropout: values and moments against torch's nn.AlphaDropout and the paper's formula."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.model.layers import fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.alpha_dropout import AlphaDropoutLayer
from regexp.regularizer.base import NotApplicable
from tests.support import technique

ROWS, UNITS = 2000, 50


def filled(p: float, x: torch.Tensor) -> AlphaDropoutLayer:
    layer = AlphaDropoutLayer(p)
    note_shapes(layer, x)
    fill_noise(layer, Rng(0, "noise"), len(x))
    return layer


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_gives_the_two_values_that_torchs_layer_gives(share):
    x = torch.full((ROWS, UNITS), 1.3)
    ours = filled(share, x)(x).unique()
    torch.manual_seed(0)
    theirs = nn.AlphaDropout(share)(x).unique()
    assert len(ours) == len(theirs) == 2
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_keeps_mean_and_variance_and_drops_the_share(share):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(ROWS, UNITS, generator=generator)
    layer = filled(share, x)
    y = layer(x)
    count = x.numel()
    assert abs(y.mean()) < 4 / count**0.5
    assert abs(y.var() - 1) < 4 * ((y - y.mean()).pow(4).mean() / count) ** 0.5
    dropped = (layer.noise[..., 0] == 0).double().mean()
    assert abs(dropped - share) < 4 * (share * (1 - share) / count) ** 0.5


def test_moments_are_exact_in_expectation():
    """Over mask and a standardized h: E = 0 and Var = 1, by the two values of the mask."""
    share = 0.3
    layer = filled(share, torch.zeros(ROWS, UNITS))
    kept = layer.noise[layer.noise[..., 0] > 0][0].double()
    gone = layer.noise[layer.noise[..., 0] == 0][0].double()
    mean = (1 - share) * kept[1] + share * gone[1]
    square = (1 - share) * (kept[0] ** 2 + kept[1] ** 2) + share * gone[1] ** 2
    assert abs(mean) < 1e-6
    assert abs(square - 1) < 1e-6


def test_stands_after_every_selu_and_nowhere_else():
    model = technique("alpha_dropout", p=0.1).build(MLP([8], 3, [16, 16], "selu"))
    layers = [n for n, m in model.named_modules() if isinstance(m, AlphaDropoutLayer)]
    assert layers == ["hidden.0.dropout.0", "hidden.1.dropout.0"]
    with pytest.raises(NotApplicable, match=r"hidden\.0 has the activation ReLU; use model\.act"):
        technique("alpha_dropout").build(MLP([8], 3, [16], "relu"))
