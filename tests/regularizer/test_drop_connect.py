"""DropConnect: its exact expectation over all masks, and nn.LSTM with masked recurrent weights."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.layers import fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.random import Rng
from regexp.regularizer.drop_connect import WeightMask
from regexp.stack.lift import LiftedLinear, lift
from tests.support import technique


def masks(model: nn.Module) -> dict[str, WeightMask]:
    return {n: m for n, m in model.named_modules() if isinstance(m, WeightMask)}


def test_masks_weights_of_hidden_layers():
    torch.manual_seed(0)
    model = technique("drop_connect", p=0.25).build(CNN([1, 8, 8], 3, [20], 50, "relu"))
    note_shapes(model, torch.zeros(1, 1, 8, 8))
    fill_noise(model, Rng(0, "noise"), 7)
    found = masks(model)
    assert list(found) == [
        "features.0.layer.parametrizations.weight.0",
        "hidden.layer.parametrizations.weight.0",
    ]  # not the output's
    noise = found["hidden.layer.parametrizations.weight.0"].noise
    assert noise.shape == (50, 320)
    assert torch.equal(noise.unique(), torch.tensor([0.0, 1 / 0.75]))
    assert abs((noise == 0).double().mean() - 0.25) < 4 * (0.25 * 0.75 / noise.numel()) ** 0.5


def test_expectation_for_a_linear_model_is_a_scaled_ridge(regression):
    """As dropout of inputs: E = |y - Xw|^2 + p / (1 - p) * sum_j w_j^2 sum_i x_ij^2, exactly."""
    x, y = regression
    share, features = 0.25, x.shape[1]
    torch.manual_seed(0)
    model = technique("drop_connect", p=share).build(MLP([features], 1, [1], "identity")).double()
    model.output = nn.Identity()
    (mask,) = masks(model).values()
    layer = model.hidden[0].layer
    w = layer.parametrizations.weight.original.detach()[0]
    y = y + layer.bias.detach()
    expected = torch.zeros((), dtype=x.dtype)
    for kept in itertools.product([0.0, 1.0], repeat=features):
        mask.noise = torch.tensor([kept], dtype=x.dtype) / (1 - share)
        chance = share ** kept.count(0.0) * (1 - share) ** kept.count(1.0)
        expected += chance * (model(x).squeeze(1) - y).square().sum().detach()
    plain = (x @ w + layer.bias.detach() - y).square().sum()
    ridge = share / (1 - share) * (w.square() * x.square().sum(0)).sum()
    torch.testing.assert_close(expected, plain + ridge, rtol=1e-13, atol=0)


def test_recurrent_weights_have_one_mask_for_all_times():
    """nn.LSTM knows one weight for all times: with the masked one it gives the same."""
    torch.manual_seed(0)
    x = torch.randn(9, 6, 3, dtype=torch.float64)
    model = technique("drop_connect", p=0.5).build(
        RecurrentNetwork([6, 3], 1, "lstm", [5], [], "relu").double()
    )
    note_shapes(model, x)
    fill_noise(model, Rng(0, "noise"), 9)
    ((name, mask),) = masks(model).items()
    assert name == "recurrent.0.layer.parametrizations.weight_hh.0"
    own = model.recurrent[0].layer
    theirs = nn.LSTM(3, 5, batch_first=True).double()
    masked = own.parametrizations.weight_hh.original.detach() * mask.noise
    theirs.load_state_dict(
        {
            "weight_ih_l0": own.weight_ih.detach(),
            "weight_hh_l0": masked,
            "bias_ih_l0": own.bias_ih.detach(),
            "bias_hh_l0": own.bias_hh.detach(),
        }
    )
    torch.testing.assert_close(own(x), theirs(x)[0], rtol=0, atol=1e-12)


def test_gradient_is_that_of_the_masked_weight():
    torch.manual_seed(0)
    x = torch.randn(20, 8)
    model = technique("drop_connect", p=0.5).build(MLP([8], 1, [16], "relu"))
    fill_noise(model, Rng(0, "noise"), 20)
    (mask,) = masks(model).values()
    model(x).sum().backward()
    gradient = model.hidden[0].layer.parametrizations.weight.original.grad
    assert (gradient[mask.noise == 0] == 0).all()
    assert (gradient[mask.noise != 0] != 0).any()


def test_a_stack_keeps_the_form_of_the_layer():
    """So that at p = 0 it has the bits of a stack without the technique."""
    torch.manual_seed(0)
    plain = [MLP([8], 3, [16], "relu") for _ in range(3)]
    torch.manual_seed(0)
    built = [technique("drop_connect", p=0.0).build(MLP([8], 3, [16], "relu")) for _ in plain]
    ours: Any = lift(built)
    theirs = lift(plain)
    assert isinstance(ours.hidden[0].layer, LiftedLinear)
    x = torch.randn(3, 20, 8)
    assert torch.equal(ours(x), theirs(x))
