"""Skip connections: the network written out in torch's functions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.layers import Block, Residual, residuals
from regexp.model.mlp import MLP
from regexp.model.resnet_mlp import ResNetMLP
from regexp.regularizer.base import NotApplicable
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.skip_connection import keeps_shape
from tests.support import technique


def test_of_an_mlp_the_second_of_equal_layers_and_no_other():
    model: Any = MLP([5], 3, [8, 8, 6, 6], "tanh")
    w = [(block.layer.weight, block.layer.bias) for block in model.hidden]
    model = technique("skip_connection").build(model)
    assert list(residuals(model)) == ["hidden.1", "hidden.3"]
    x = torch.randn(4, 5)
    h = F.linear(x, *w[0]).tanh()
    h = h + F.linear(h, *w[1]).tanh()
    h = F.linear(h, *w[2]).tanh()
    h = h + F.linear(h, *w[3]).tanh()
    torch.testing.assert_close(model(x), model.output(h))


def test_of_a_cnn_the_second_convolution_of_a_stage():
    model: Any = CNN((2, 8, 8), 3, [[4, 4]], None, "relu")
    first, second = model.features[0].layer, model.features[1].layer
    model = technique("skip_connection").build(model)
    x = torch.randn(4, 2, 8, 8)
    h = F.conv2d(x, first.weight, first.bias, padding=1).relu()
    h = h + F.conv2d(h, second.weight, second.bias, padding=1).relu()
    pooled = F.max_pool2d(h, 2).mean((2, 3))
    torch.testing.assert_close(model(x), model.output(pooled))


@pytest.mark.parametrize(
    ("options", "keeps"),
    [
        ({"padding": 1}, True), ({"padding": "same", "dilation": 3}, True), ({}, False),
        ({"padding": 2, "dilation": 2}, True), ({"padding": 1, "stride": 2}, False),
        ({"padding": "valid"}, False),
    ],
)  # fmt: skip
def test_convolutions_keep_their_shape(options, keeps):
    layer = nn.Conv2d(3, 3, 3, **options)
    assert keeps_shape(layer) == keeps == (layer(torch.zeros(1, 3, 9, 9)).shape[2:] == (9, 9))
    assert not keeps_shape(nn.Conv2d(3, 4, 3, **options))


def test_a_block_that_stands_in_two_places_has_one_branch_and_residuals_stay():
    block, other = Block(nn.Linear(4, 4), nn.ReLU()), Block(nn.Linear(4, 4), nn.ReLU())
    model = nn.Sequential(block, block, nn.Sequential(block), Residual(other))
    built = technique("skip_connection").build(model)
    assert built[0] is built[1] is built[2][0]
    assert built[0].branch is block
    assert built[3].branch is other


def test_techniques_of_branches_are_listed_after_it():
    def build(*names):
        return Cocktail({n: technique(n) for n in names}).build(MLP([5], 3, [8, 8], "relu"))

    assert build("skip_connection", "shake_drop").hidden[1].drop
    with pytest.raises(NotApplicable, match="no branch to drop"):
        build("shake_drop", "skip_connection")


@pytest.mark.parametrize("model", [MLP([5], 3, [8, 6], "relu"), ResNetMLP([5], 3, 6, 8, 2, "relu")])
def test_models_without_such_blocks_are_told(model):
    with pytest.raises(NotApplicable, match="as many outputs as inputs"):
        technique("skip_connection").build(model)
