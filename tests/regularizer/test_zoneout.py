"""Zoneout: nn.LSTMCell and nn.GRUCell with states kept by hand, and the exact expectation."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import nn

from regexp.model.layers import fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.random import Rng
from regexp.regularizer.base import NotApplicable
from regexp.regularizer.zoneout import ZoneoutLayer
from tests.support import technique

ROWS, TIMES, SIZE = 40, 6, 5
X = torch.randn(ROWS, TIMES, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def network(kind: str) -> Any:
    torch.manual_seed(0)
    return RecurrentNetwork([TIMES, 3], 1, kind, [SIZE], [], "relu").double()


def built(kind: str, **rates: float) -> Any:
    model = technique("zoneout", **rates).build(network(kind))
    note_shapes(model, X)
    fill_noise(model, Rng(0, "noise"), ROWS)
    return model


def cell_of(model: Any, kind: str) -> Any:
    cell = (nn.LSTMCell if kind == "lstm" else nn.GRUCell)(3, SIZE).double()
    cell.load_state_dict(dict(model.recurrent[0].layer.named_parameters()))
    return cell


def by_hand(model: Any, kind: str, mix_h, mix_c) -> torch.Tensor:
    """The last state, where `mix(new, old, time)` says what becomes of each state."""
    cell = cell_of(model, kind)
    h = c = torch.zeros(ROWS, SIZE, dtype=torch.float64)
    for time in range(TIMES):
        if kind == "lstm":
            new_h, new_c = cell(X[:, time], (h, c))
            c = mix_c(new_c, c, time)
        else:
            new_h = cell(X[:, time], h)
        h = mix_h(new_h, h, time)
    return model.output(h)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_units_keep_their_old_value_in_training(kind):
    model = built(kind, hidden=0.3, cell=0.6)
    (layer,) = [m for m in model.modules() if isinstance(m, ZoneoutLayer)]
    keeps = layer.noise
    assert keeps.shape == (ROWS, TIMES, SIZE, 2)
    for state, rate in enumerate((0.3, 0.6)):
        share = keeps[..., state].double().mean()
        assert abs(share - rate) < 4 * (rate * (1 - rate) / keeps[..., 0].numel()) ** 0.5
    expected = by_hand(
        model,
        kind,
        lambda new, old, t: torch.where(keeps[:, t, :, 0], old, new),
        lambda new, old, t: torch.where(keeps[:, t, :, 1], old, new),
    )
    torch.testing.assert_close(model(X), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_evaluation_takes_the_expectation(kind):
    model = built(kind, hidden=0.3, cell=0.6).eval()
    expected = by_hand(
        model,
        kind,
        lambda new, old, t: 0.3 * old + 0.7 * new,
        lambda new, old, t: 0.6 * old + 0.4 * new,
    )
    torch.testing.assert_close(model(X), expected, rtol=0, atol=1e-12)


def test_mean_over_all_masks_is_the_expectation():
    new, old = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, 3.0]])
    layer = ZoneoutLayer(0.25, 0.5)
    mean = torch.zeros(1, 2)
    for mask in itertools.product([True, False], repeat=2):
        layer.noise = torch.tensor(mask).view(1, 1, 2, 1).expand(1, 1, 2, 2)
        h, c = layer(new=(new, None), old=(old, None), time=0)
        assert c is None
        mean += 0.25 ** sum(mask) * 0.75 ** (2 - sum(mask)) * h
    in_evaluation, _ = layer.eval()(new=(new, None), old=(old, None), time=0)
    torch.testing.assert_close(mean, in_evaluation)


def test_models_without_recurrent_layers_are_told():
    with pytest.raises(NotApplicable, match="model=lstm"):
        technique("zoneout").build(MLP([8], 3, [16], "relu"))
