"""Spatial dropout: whole channels go, as in torch's nn.Dropout2d, whose values and rate it has."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.layers import DropoutLayer, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from tests.support import technique

ROWS = 300


def layers(model: nn.Module) -> dict[str, DropoutLayer]:
    return {n: m for n, m in model.named_modules() if isinstance(m, DropoutLayer)}


def test_zeroes_whole_channels_of_images():
    model = technique("spatial_dropout", p=0.25).build(CNN([1, 8, 8], 3, [20], 16, "relu"))
    note_shapes(model, torch.zeros(1, 1, 8, 8))
    fill_noise(model, Rng(0, "noise"), ROWS)
    ((name, layer),) = layers(model).items()  # none in the linear block
    assert name == "features.0.dropout.0"
    x = torch.rand(ROWS, 20, 8, 8) + 1
    y = layer(x)
    torch.manual_seed(0)
    theirs = nn.Dropout2d(0.25)(x)
    for given in (y, theirs):
        whole = (given == 0).flatten(2).double().mean(2)
        assert set(whole.unique().tolist()) == {0.0, 1.0}
        torch.testing.assert_close(given[given != 0], (x / 0.75)[given != 0])
        count = whole.numel()
        assert abs(whole.mean() - 0.25) < 4 * (0.25 * 0.75 / count) ** 0.5


def test_zeroes_whole_features_of_sequences():
    model = technique("spatial_dropout", p=0.5).build(
        RecurrentNetwork([6, 2], 1, "gru", [5, 4], [3], "relu")
    )
    note_shapes(model, torch.zeros(1, 6, 2))
    fill_noise(model, Rng(0, "noise"), ROWS)
    found = layers(model)
    assert list(found) == ["recurrent.0.dropout.0", "recurrent.1.dropout.0"]
    y = found["recurrent.0.dropout.0"](torch.ones(ROWS, 6, 5))
    assert torch.equal(y, y[:, :1].expand_as(y))
    assert set(y.unique().tolist()) == {0.0, 2.0}


def test_models_without_channels_are_told():
    with pytest.raises(NotApplicable, match=r"regularizer\.spatial_dropout: .* use regularizer=dr"):
        technique("spatial_dropout").build(MLP([8], 3, [16], "relu"))
