"""Beside parametrized weights, listed elsewhere: held against the network without them."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from regexp.errors import NotApplicable
from regexp.regularizer.base import Tensors
from regexp.regularizer.common import draw_like, in_one_order
from tests.support import NETWORKS, technique
from tests.technique_runs import alone, assert_same_bits, mix, within

PARAMETRIZED = ("drop_connect", "spectral_norm", "weight_norm", "weight_standardization")


def plain(name: str) -> str:
    """The name of the parameter in whose place this one is trained."""
    return re.sub(r"\.parametrizations\.(\w+)\.original[01]?$", r".\1", name)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", PARAMETRIZED)
def test_the_one_order_is_that_of_the_network_without_parametrizations(network, name):
    model = NETWORKS[network][-1]()
    expected = [own for own, _ in model.named_parameters()]
    try:
        parameters = dict(technique(name).build(model).named_parameters())
    except NotApplicable:
        pytest.skip(f"{network} has nothing for {name}")
    assert list(dict.fromkeys(map(plain, parameters))) != expected, "the test shows nothing"
    assert list(dict.fromkeys(map(plain, in_one_order(parameters)))) == expected


def test_where_nothing_is_parametrized_nothing_moves():
    layers = [nn.LSTM(3, 2, num_layers=2), nn.MultiheadAttention(4, 2, add_bias_kv=True)]
    model = nn.Sequential(*layers, nn.Linear(2, 2))
    parameters: Tensors = dict(model.named_parameters())
    assert in_one_order(parameters) == list(parameters)
    drawn = draw_like(parameters, lambda shape: torch.arange(shape[0]))
    numbers = torch.cat([drawn[name].flatten() for name in parameters])
    assert torch.equal(numbers, torch.arange(len(numbers)))


@pytest.mark.parametrize("network", ["mlp", "lstm"])
@pytest.mark.parametrize(
    "other", ["gradient_noise", "gradient_dropout", "gradient_clipping", "sam"]
)
def test_neutral_drop_connect_beside_it_changes_nothing(network, other):
    ours = alone(network, 0, mix(other, drop_connect=technique("drop_connect", p=0.0)))
    without = alone(network, 0, mix(other))
    expected = without.last["state"]
    assert_same_bits(within(ours.last["state"], expected), expected)
