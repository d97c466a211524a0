"""The models: their shapes, the order of their layers, and what they refuse."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from regexp.layers import Block, Dropout, Inputs, adopt, blocks, inputs
from regexp.model.activation import ACTIVATIONS
from regexp.model.cnn import CNN
from regexp.model.mlp import MLP


@pytest.mark.parametrize("hidden", [[], [7], [64, 32, 16]])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_mlp_has_any_depth_width_and_activation(hidden: list[int], activation: str) -> None:
    model = MLP((2, 3), 4, hidden, activation)
    assert model(torch.zeros(5, 2, 3)).shape == (5, 4)
    sizes = [6, *hidden, 4]
    expected = sum((a + 1) * b for a, b in itertools.pairwise(sizes))
    assert sum(p.numel() for p in model.parameters()) == expected
    kinds = [type(block.activation) for block in model.modules() if isinstance(block, Block)]
    assert kinds == [ACTIVATIONS[activation]] * len(hidden)


def test_mlp_is_initialised_as_torchs_own_layers() -> None:
    torch.manual_seed(0)
    model = MLP((6,), 3, [8], "relu")
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    x = torch.randn(4, 6)
    assert torch.equal(model(x), plain(x))


def test_cnn_shapes() -> None:
    model = CNN((1, 8, 8), 10, [4, 8], 16, "relu")
    assert model(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    assert [block.dimensions for block in blocks(model).values()] == [2, 2, 0]
    assert [block.features for block in blocks(model).values()] == [4, 8, 16]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLP((3,), 2, [0], "relu"), "model.hidden"),
        (lambda: MLP((3,), 2, [4], "rellu"), "did you mean 'relu'"),
        (lambda: CNN((30,), 2, [4], 8, "relu"), "expects images"),
        (lambda: CNN((1, 4, 4), 2, [4, 4, 4], 8, "relu"), "at least 8 pixels"),
        (lambda: CNN((1, 8, 8), 2, [4, 0], 8, "relu"), "model.channels"),
    ],
)
def test_what_is_refused(make, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_stand_in_order_whatever_order_they_come_in() -> None:
    model = MLP((3,), 2, [4, 4], "relu")
    for block in blocks(model).values():
        block.dropout.append(Dropout(0.5))
        block.norm.append(nn.BatchNorm1d(block.features))
    kinds = [
        type(m) for m in next(iter(blocks(model).values())).modules() if not list(m.children())
    ]
    assert kinds == [nn.Linear, nn.BatchNorm1d, nn.ReLU, Dropout]
    assert isinstance(inputs(model), Inputs)


def test_models_without_slots_say_so() -> None:
    plain = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"no hidden regexp\.layers\.Block"):
        blocks(plain)
    with pytest.raises(ValueError, match=r"no regexp\.layers\.Inputs"):
        inputs(plain)


def test_torchs_dropout_becomes_ours_and_other_global_noise_is_refused() -> None:
    model = adopt(nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Dropout(0.3))))
    layer = model[1][0]  # type: ignore[index]
    assert type(layer) is Dropout
    assert layer.p == 0.3
    twice = nn.Dropout(0.2)
    model = adopt(nn.Sequential(twice, nn.Linear(3, 3), twice))
    assert [type(module) for module in model] == [Dropout, nn.Linear, Dropout]  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="LSTM, which draws from torch's global"):
        adopt(nn.Sequential(nn.LSTM(3, 3, num_layers=2, dropout=0.1)))
    with pytest.raises(ValueError, match="AlphaDropout, which draws from torch's global"):
        adopt(nn.Sequential(nn.AlphaDropout(0.1)))
