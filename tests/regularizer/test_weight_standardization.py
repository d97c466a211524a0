"""Weight standardization: numpy's moments, and F.batch_norm of the weights as others compute it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.regularizer.weight_standardization import Standardized
from tests.support import technique


def network() -> Any:
    torch.manual_seed(0)
    return CNN([3, 8, 8], 3, [4], 16, "relu").double()


def test_moments_of_each_units_weights():
    model = technique("weight_standardization", eps=1e-12).build(network())
    for layer in (model.features[0].layer, model.hidden.layer):
        rows = layer.weight.detach().flatten(1).numpy()
        np.testing.assert_allclose(rows.mean(1), 0, atol=1e-15)
        np.testing.assert_allclose(rows.var(1) * rows.shape[1], 1, rtol=1e-8)
    assert torch.equal(model.output.weight, network().output.weight)


def test_is_batch_normalization_of_the_weights():
    """The whole kernel of an output channel is a channel, as in timm's StdConv2d; then scaled."""
    weight = torch.randn(4, 3, 5, 5, dtype=torch.float64)
    normed = F.batch_norm(weight.view(1, 4, -1), None, None, training=True, eps=0.1)
    expected = normed.view_as(weight) / 75**0.5
    torch.testing.assert_close(Standardized(0.1)(weight), expected, rtol=0, atol=1e-14)


def test_keeps_the_variance_of_signals():
    torch.manual_seed(0)
    model = technique("weight_standardization").build(MLP([400], 2, [300], "identity"))
    with torch.no_grad():
        model.hidden[0].layer.bias.zero_()
    y = model.hidden(torch.randn(500, 400))
    assert abs(y.var() - 1) < 0.05


def test_the_length_and_the_mean_of_what_is_trained_have_no_effect():
    model = technique("weight_standardization", eps=1e-12).build(network())
    x = torch.randn(5, 3, 8, 8, dtype=torch.float64)
    before = model(x)
    with torch.no_grad():
        original = model.hidden.layer.parametrizations.weight.original
        original.copy_(3 * original + 1)
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-8)


def test_leaves_weights_of_one_input_alone():
    """A series of one channel: standardized, its weights would all be zero."""
    model = RecurrentNetwork([6, 1], 1, "gru", [5], [], "relu")
    layer = technique("weight_standardization").build(model).recurrent[0].layer
    assert list(layer.parametrizations) == ["weight_hh"]
    assert (layer.weight_ih != 0).all()
