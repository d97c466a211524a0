"""Decay and learning rates by layer: torch's optimizers with a parameter group for each layer."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from regexp.model.resnet_mlp import ResNetMLP
from regexp.regularizer.base import parameter_kinds
from regexp.regularizer.depth import layers_before_output
from tests.support import TiedLanguageModel, make_step, technique

RATE = 0.01


def network():
    torch.manual_seed(0)
    layers = [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 3)]
    return nn.Sequential(*layers).double()


def train(model, optimizer, regularizer, steps=40):
    parameters = dict(model.named_parameters())
    for index in range(steps):
        x = torch.randn(16, 5, generator=torch.Generator().manual_seed(index)).double()
        optimizer.zero_grad()
        (model(x) - x[:, :3]).square().mean().backward()
        old = {name: p.detach().clone() for name, p in parameters.items()}
        optimizer.step()
        if regularizer is None:
            continue
        new = {name: p.detach().clone() for name, p in parameters.items()}
        with torch.no_grad():
            changed = regularizer.constrain(make_step(index, RATE), new, old)
            for name, p in parameters.items():
                p.copy_(changed[name])
    return torch.cat([p.detach().flatten() for p in parameters.values()])


def by_layer(model, key, values):
    """Parameter groups of the three layers, from the inputs on."""
    return [{"params": model[2 * i].parameters(), key: value} for i, value in enumerate(values)]


def test_layer_decay_is_adamw_with_a_decay_for_each_layer():
    decay = technique("layer_decay", strength=0.5, factor=0.4, include="all")
    model = network()
    ours = train(model, torch.optim.Adam(model.parameters(), lr=RATE), decay)
    model = network()
    groups = by_layer(model, "weight_decay", [0.5 * 0.4**2, 0.5 * 0.4, 0.5])
    torchs = train(model, torch.optim.AdamW(groups, lr=RATE), None)
    torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "optimizer",
    [torch.optim.Adam, partial(torch.optim.SGD, momentum=0.9), torch.optim.RMSprop],
)
def test_layerwise_lr_decay_is_torchs_optimizer_with_a_rate_for_each_layer(optimizer):
    scaled = technique("layerwise_lr_decay", factor=0.4)
    model = network()
    ours = train(model, optimizer(model.parameters(), lr=RATE), scaled)
    model = network()
    groups = by_layer(model, "lr", [RATE * 0.4**2, RATE * 0.4, RATE])
    torchs = train(model, optimizer(groups, lr=RATE), None)
    torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-13)


def test_layers_are_counted_from_the_output():
    class Normalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 4, 3)
            self.norm = nn.BatchNorm2d(4)
            self.rnn = nn.LSTM(4, 3)
            self.middle = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
            self.scale = nn.LayerNorm(3)
            self.output = nn.Linear(3, 2)

    model = Normalized()
    before = layers_before_output(dict(model.named_parameters()), parameter_kinds(model))
    expected = {"first": 3, "norm": 3, "rnn": 2, "middle": 1, "scale": 1, "output": 0}
    assert before == {name: expected[name.partition(".")[0]] for name in before}
    assert sum(name.startswith("middle.") for name in before) == 3  # bias, length, direction


def test_a_table_of_words_that_is_the_output_layer_too_is_the_last():
    model = TiedLanguageModel()
    before = layers_before_output(dict(model.named_parameters()), parameter_kinds(model))
    assert {name.partition(".")[0]: depth for name, depth in before.items()} == {
        "a": 2, "b": 1, "table": 0, "head": 0,
    }  # fmt: skip


def test_parallel_branches_are_equally_deep():
    model = technique("shake_shake").build(ResNetMLP((4,), 3, 5, 6, 2, "relu"))
    before = layers_before_output(dict(model.named_parameters()), parameter_kinds(model))
    assert before["embedding.weight"] == 5
    for residual in (0, 1):
        for branch in ("first", "second"):
            of_branch = f"residual.{residual}.branch.{branch}"
            assert before[f"{of_branch}.hidden.layer.weight"] == 4 - 2 * residual
            assert before[f"{of_branch}.output.bias"] == 3 - 2 * residual


def test_a_factor_of_one_is_weight_decay(network):
    old = {name: p + 1 for name, p in network.items()}
    ours = technique("layer_decay", strength=0.3, factor=1).constrain(make_step(), network, old)
    plain = technique("weight_decay", strength=0.3).constrain(make_step(), network, old)
    assert all(torch.equal(ours[name], plain[name]) for name in network)


def test_a_rate_of_zero_trains_the_output_layer_alone(network):
    old = {name: p + 1 for name, p in network.items()}
    new = technique("layerwise_lr_decay", factor=0).constrain(make_step(), network, old)
    for name in network:
        kept = network if name.startswith("1.") else old
        assert torch.equal(new[name], kept[name])
