"""Layers with noise are the identity in evaluation: the network without them, to the bit."""

from __future__ import annotations

import pytest
import torch

from regexp.model.layers import fill_noise, note_shapes
from regexp.random import Rng
from tests.support import NETWORKS, make_data, make_member, technique, tensor


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("alpha_dropout", "selu"),
        ("drop_block", "cnn"),
        ("drop_connect", "mlp"),
        ("drop_connect", "lstm"),
        ("dropout", "mlp"),
        ("gaussian_dropout", "mlp"),
        ("manifold_mixup", "cnn"),
        ("spatial_dropout", "cnn"),
        ("spatial_dropout", "gru"),
        ("stochastic_depth", "resnet_mlp"),
        ("variational_dropout", "lstm"),
        ("variational_dropout", "gru"),
    ],
)
def test_does_nothing_in_evaluation(name, network):
    shape, _, build = NETWORKS[network]
    x = tensor(make_data(shape=shape).train.inputs)
    plain = make_member(0, {}, model=build).model
    model = make_member(0, {name: technique(name)}, model=build).model
    note_shapes(model, x)
    fill_noise(model, Rng(0, "noise"), len(x))
    assert not torch.equal(model.train()(x), plain.train()(x))
    assert torch.equal(model.eval()(x), plain.eval()(x))
