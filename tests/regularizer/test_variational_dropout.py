"""Variational dropout: masks constant in time, and nn.LSTMCell fed with masked states by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from regexp.model.layers import DropoutLayer, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from tests.support import technique

ROWS, TIMES = 40, 6
X = torch.randn(ROWS, TIMES, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(kind: str = "lstm") -> Any:
    torch.manual_seed(0)
    return RecurrentNetwork([TIMES, 3], 1, kind, [5, 4], [3], "relu").double()


def built(kind: str = "lstm", **shares: float) -> Any:
    model = technique("variational_dropout", **shares).build(network(kind))
    note_shapes(model, X)
    fill_noise(model, Rng(0, "noise"), ROWS)
    return model


def test_one_mask_a_sequence_in_every_place():
    model = built(inputs=0.2, hidden=0.3, recurrent=0.4)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, DropoutLayer)}
    found = {name: (layer.p, tuple(layer.noise.shape)) for name, layer in layers.items()}
    assert found == {
        "inputs.0": (0.2, (ROWS, 1, 3)),
        "recurrent.0.layer.state.0": (0.4, (ROWS, 5)),
        "recurrent.0.dropout.0": (0.3, (ROWS, 1, 5)),
        "recurrent.1.layer.state.0": (0.4, (ROWS, 4)),
        "recurrent.1.dropout.0": (0.3, (ROWS, 1, 4)),
    }  # and none in the linear block
    for layer in layers.values():
        assert set(layer.noise.unique().tolist()) <= {0.0, layer.noise.max().item()}
        assert layer.noise.max().item() == pytest.approx(1 / (1 - layer.p), rel=1e-4)


def test_equals_cells_with_masked_states():
    model = built(inputs=0.2, hidden=0.3, recurrent=0.4)
    noise = {n: m.noise.double() for n, m in model.named_modules() if isinstance(m, DropoutLayer)}
    below = X * noise["inputs.0"]
    for index, size in enumerate((5, 4)):
        layer = model.recurrent[index].layer
        cell = nn.LSTMCell(below.shape[-1], size).double()
        cell.load_state_dict(dict(layer.named_parameters()))
        h = c = torch.zeros(ROWS, size, dtype=torch.float64)
        states = []
        for time in range(TIMES):
            masked = h * noise[f"recurrent.{index}.layer.state.0"]
            h, c = cell(below[:, time], (masked, c))
            states.append(h)
        below = torch.stack(states, 1) * noise[f"recurrent.{index}.dropout.0"]
    expected = model.output(model.hidden(below[:, -1]))
    torch.testing.assert_close(model(X), expected, rtol=0, atol=1e-12)


def test_models_without_recurrent_layers_are_told():
    with pytest.raises(NotApplicable, match="model=lstm"):
        technique("variational_dropout").build(MLP([8], 3, [16], "relu"))
