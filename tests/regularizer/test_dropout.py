"""Dropout: its rate, and over all masks the scaled ridge of Wager et al. 2013, exactly."""

from __future__ import annotations

import copy
import itertools
from functools import partial

import pytest
import torch
from torch import nn

from regexp.errors import NotApplicable
from regexp.model.cnn import CNN
from regexp.model.draws import Draws
from regexp.model.embedding import Periodic
from regexp.model.layers import Block, DropoutLayer, Noise, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.cocktail import Cocktail
from tests.support import technique


def mlp(*hidden):
    torch.manual_seed(0)
    return MLP([8], 3, list(hidden), "relu")


def noise_layers(model):
    return [(n, m) for n, m in model.named_modules() if isinstance(m, Noise)]


def test_stands_after_every_hidden_activation_and_at_the_inputs():
    model = technique("dropout", hidden=0.5, inputs=0.25).build(mlp(16, 16))
    shares = {name: layer.p for name, layer in noise_layers(model)}
    assert shares == {"inputs.0": 0.25, "hidden.0.dropout.0": 0.5, "hidden.1.dropout.0": 0.5}


def test_what_is_kept_before_an_embedding_is_not_scaled():
    """Bins and phases of x / (1 - p) are those of another value, which no row has in evaluation."""
    rows = torch.linspace(1, 2, 240).view(30, 8)
    torch.manual_seed(0)
    embedding = partial(Periodic, frequencies=3, sigma=0.1, width=4, activation=True, lite=False)
    model = MLP([8], 3, [16], "relu", embedding, rows)
    model = technique("dropout", hidden=None, inputs=0.25).build(model).train()
    note_shapes(model, rows[:1])
    layer = model.inputs[0]
    for seed in range(3):
        layer.noise = layer.draw(Rng(seed), len(rows))
        seen = layer(rows)
        assert set((seen / rows).flatten().tolist()) == {0.0, 1.0}
        assert 0.6 < float((seen != 0).float().mean()) < 0.9
    assert torch.equal(model.eval().inputs(rows), rows)


def test_null_adds_no_layer_at_the_inputs():
    model = technique("dropout", inputs=None).build(mlp(16))
    assert [name for name, _ in noise_layers(model)] == ["hidden.0.dropout.0"]


@pytest.mark.parametrize("names", [("dropout", "batch_norm"), ("batch_norm", "dropout")])
def test_comes_after_normalization_and_activation_in_any_order(names):
    model = Cocktail({name: technique(name) for name in names}).build(mlp(16))
    block = next(m for m in model.modules() if isinstance(m, Block))
    kinds = [type(m) for m in block.modules() if not list(m.children())]
    kinds = [kind for kind in kinds if kind is not nn.Sequential]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, DropoutLayer]


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_rate_and_mean(share):
    rows, units = 400, 100
    model = technique("dropout", hidden=share, inputs=None).build(mlp(units))
    note_shapes(model, torch.zeros(1, 8))
    fill_noise(model, Rng(0, "noise"), rows)
    ((_, layer),) = noise_layers(model)
    mask = layer.noise
    assert mask.shape == (rows, units)
    values = torch.tensor([0.0, 1 / (1 - share)])  # inverted: scaled in training
    assert torch.equal(mask.unique(), values)
    deviation = (share * (1 - share) / mask.numel()) ** 0.5
    assert abs((mask == 0).double().mean() - share) < 4 * deviation
    assert abs((mask == 0).double().mean(0) - share).max() < 5 * deviation * units**0.5


def test_drops_single_elements_of_convolutional_blocks():
    torch.manual_seed(0)
    model = technique("dropout", hidden=0.5).build(CNN([1, 8, 8], 3, [4], 16, "relu"))
    note_shapes(model, torch.zeros(1, 1, 8, 8))
    fill_noise(model, Rng(0, "noise"), 5)
    noise = dict(noise_layers(model))
    mask = noise["features.0.dropout.0"].noise
    assert mask.shape == (5, 4, 8, 8)
    share = (mask == 0).double().mean((2, 3))  # whole channels would give zeros and ones
    assert ((share > 0.1) & (share < 0.9)).all()


def test_expectation_for_a_linear_model_is_a_scaled_ridge(regression):
    """Wager et al. 2013: E = |y - Xw|^2 + p / (1 - p) * sum_j w_j^2 sum_i x_ij^2, exactly."""
    x, y = regression
    share, features = 0.25, x.shape[1]
    model = technique("dropout", inputs=share).build(MLP([features], 1, [4], "identity"))
    model.hidden = nn.Identity()  # what is left is linear
    model.output = nn.Linear(features, 1, bias=False)
    model.double()
    layer = model.inputs[0]
    expected = torch.zeros((), dtype=x.dtype)
    for mask in itertools.product([0.0, 1.0], repeat=features):
        kept = torch.tensor(mask, dtype=x.dtype)
        layer.noise = (kept / (1 - share)).expand_as(x)
        chance = share ** (kept == 0).sum() * (1 - share) ** (kept == 1).sum()
        expected += chance * (model(x).squeeze(1) - y).square().sum().detach()
    w = model.output.weight.detach().squeeze(0)
    plain = (x @ w - y).square().sum()
    ridge = share / (1 - share) * (w.square() * x.square().sum(0)).sum()
    torch.testing.assert_close(expected, plain + ridge, rtol=1e-13, atol=0)


class Tokens(nn.Module):
    """A network of torch's own layers: one dropout called twice, rows on the second axis."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=p)
        self.last = nn.Sequential(nn.Linear(8, 8), nn.Dropout(p))
        self.again = self.last[1]

    def forward(self, x):
        tokens = self.encoder(x.reshape(len(x), -1, 8).transpose(0, 1))
        return self.again(self.last(tokens)).mean(0)


def outputs(model, x):
    with Draws(model.named_modules()).served(Rng(0, "step", 0)):
        return model.train()(x)


def test_stands_behind_the_dropout_of_a_network_without_blocks():
    model = technique("dropout", hidden=0.25, inputs=None).build(Tokens())
    shares = {n: m.p for n, m in model.named_modules() if isinstance(m, nn.Dropout)}
    places = ("encoder.dropout", "encoder.dropout1", "encoder.dropout2", "last.1")
    assert shares == dict.fromkeys(places, 0.5) | {f"{n}.behind": 0.25 for n in places}
    assert model.again is model.last[1]


def test_of_what_own_dropout_keeps_a_share_is_dropped_as_well():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.2)

        def forward(self, x):
            return self.drop(x)

    model = technique("dropout", hidden=0.5, inputs=None).build(Own())
    ones = torch.ones(200, 300)
    got = outputs(model, ones)
    assert torch.equal(got.unique(), torch.tensor([0.0, 1 / (0.8 * 0.5)]))
    kept = float((got > 0).double().mean())
    assert abs(kept - 0.4) < 5 * (0.4 * 0.6 / got.numel()) ** 0.5
    assert torch.equal(model.eval()(ones), ones)


def test_behind_own_dropout_a_share_of_zero_changes_nothing():
    torch.manual_seed(0)
    plain = Tokens()
    model = technique("dropout", hidden=0.0, inputs=None).build(copy.deepcopy(plain))
    x = torch.randn(6, 24)
    assert torch.equal(outputs(model, x), outputs(plain, x))


def test_a_network_with_neither_blocks_nor_dropout_is_told():
    with pytest.raises(NotApplicable, match="Block"):
        technique("dropout", inputs=None).build(nn.Sequential(nn.Linear(8, 3)))
