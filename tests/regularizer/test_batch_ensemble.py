"""BatchEnsemble: each member against a plain network whose weights are W * (s r') by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.mlp import MLP
from regexp.model.recurrent import Recurrent
from regexp.random import Rng
from regexp.regularizer.base import Batch, Block, PredictionView
from regexp.regularizer.batch_ensemble import MemberScale
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.network import Network
from tests.support import make_data, make_member, make_step, run, technique

MEMBERS = 3


@pytest.fixture
def model():
    """Two hidden layers, with factors that are no mere signs; float64."""
    torch.manual_seed(0)
    plain = MLP((5,), 2, [6, 4], "tanh")
    model = technique("batch_ensemble", members=MEMBERS).build(plain).double()
    for name, parameter in model.named_parameters():
        if name.endswith("factors"):
            assert parameter.detach().abs().eq(1).all()
            nn.init.normal_(parameter)
    return model


def member(model, index):
    """Member `index` as a plain network: its factors multiplied into weights and biases."""
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    factors = [
        p.detach().view(MEMBERS, -1)[index]
        for name, p in model.named_parameters()
        if name.endswith("factors")
    ]
    left = [factors[0], factors[2], torch.ones(2)]
    right = [torch.ones(5), factors[1], factors[3]]
    layers = []
    for linear, s, r in zip(linears, left, right, strict=True):
        own = nn.Linear(linear.in_features, linear.out_features).double()
        own.weight.data = linear.weight.detach() * torch.outer(s, r)
        own.bias.data = linear.bias.detach() * s
        layers += [own, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


@pytest.fixture
def inputs():
    return torch.randn(7, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_members_are_networks_with_rank_one_factors(model, inputs):
    state = {name: value.detach() for name, value in model.state_dict().items()}
    ours = technique("batch_ensemble", members=MEMBERS).predict(
        {}, PredictionView(state, Network(model, state, {}, {}), inputs, Rng(0))
    )
    expected = torch.stack([member(model, index)(inputs) for index in range(MEMBERS)])
    torch.testing.assert_close(ours, expected.detach(), rtol=0, atol=1e-14)
    assert not torch.allclose(ours[0], ours[1])


def test_loss_is_the_mean_of_the_members(model, inputs):
    targets = torch.eye(2, dtype=torch.float64)[torch.arange(7) % 2]
    batch = technique("batch_ensemble", members=MEMBERS).batch(make_step(), Batch(inputs, targets))
    ours = nn.functional.cross_entropy(model(batch.inputs), batch.targets)
    each = [
        nn.functional.cross_entropy(member(model, index)(inputs), targets)
        for index in range(MEMBERS)
    ]
    torch.testing.assert_close(ours, torch.stack(each).mean(), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    "names", [("batch_norm", "batch_ensemble"), ("batch_ensemble", "batch_norm")]
)
def test_a_layer_is_scaled_before_it_is_normalized(names):
    model = Cocktail({name: technique(name) for name in names}).build(MLP((4,), 3, [5], "relu"))
    layers = [type(layer).__name__ for layer in model.get_submodule("hidden.0.norm").children()]
    assert layers == ["MemberScale", "BatchNorm1d"]


def test_channels_of_images_have_factors():
    torch.manual_seed(0)
    model = technique("batch_ensemble", members=2).build(CNN((1, 8, 8), 3, [4], 5, "relu"))
    images = torch.randn(1, 1, 8, 8).repeat(4, 1, 1, 1)
    outputs = model(images)
    assert torch.equal(outputs[0], outputs[2])  # of one member
    assert not torch.allclose(outputs[0], outputs[1])


def test_features_of_sequences_have_factors():
    """The same at all times, and again with a leading axis of runs."""
    torch.manual_seed(0)
    block = Block(Recurrent("gru", 2, 6), nn.Identity())
    scale = MemberScale(2, block)
    x = torch.randn(4, 5, 6)
    own = scale.factors.detach().view(2, 1, 6)
    expected = torch.stack([x[row] * own[row % 2] for row in range(4)])
    assert torch.equal(scale(x), expected)
    scale.factors = nn.Parameter(torch.stack([scale.factors.detach()] * 3))
    assert torch.equal(scale(torch.stack([x] * 3)), torch.stack([expected] * 3))


def test_a_run_learns_the_factors():
    data = make_data()
    techniques = {"ensemble": technique("batch_ensemble", members=MEMBERS)}
    (result,), history = run([make_member(techniques=techniques, data=data)], epochs=8)
    factors = [value for name, value in result.last["weights"].items() if "factors" in name]
    assert len(factors) == 4
    assert all(value.ndim == 1 and not value.abs().eq(1).any() for value in factors)
    assert history[0][-1]["val/loss"] < history[0][0]["val/loss"]
