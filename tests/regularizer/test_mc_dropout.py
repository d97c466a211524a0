"""MC dropout: the mean over all masks, enumerated, and the variance of a linear model's passes."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from regexp.errors import NotApplicable
from regexp.metrics.ensemble import mean_prediction
from regexp.model.layers import Block, DropoutLayer, Inputs, note_shapes
from regexp.model.mlp import MLP
from regexp.random import Rng
from regexp.regularizer.base import PredictionView, Schedule
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.network import Network
from tests.support import make_data, make_member, run, technique


@pytest.fixture
def inputs():
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def predictor(model, inputs):
    """The network in evaluation mode, as the loop calls it."""
    note_shapes(model, inputs)
    state = {name: value.detach() for name, value in model.state_dict().items()}
    return Network(model.eval(), state, {}, {})


def linear(p):
    """A linear network with dropout of its four inputs."""
    torch.manual_seed(0)
    return nn.Sequential(Inputs(DropoutLayer(p)), nn.Linear(4, 3))


def test_mean_probability_over_all_masks(inputs):
    p, samples = 0.25, 4000
    model = linear(p)
    expected = torch.zeros(6, 3)
    for mask in itertools.product((0.0, 1.0), repeat=4):
        kept = torch.tensor(mask)
        chance = (1 - p) ** float(kept.sum()) * p ** float(4 - kept.sum())
        expected += chance * model[1](inputs * kept / (1 - p)).detach().softmax(-1)
    network = predictor(model, inputs)
    mc = technique("mc_dropout", samples=samples)
    outputs = mc.predict({}, PredictionView({}, network, inputs, Rng(0, "test")))
    ours = mean_prediction(outputs, "classification").exp()
    # five standard errors of a mean of numbers in [0, 1]
    torch.testing.assert_close(ours, expected, rtol=0, atol=5 * 0.5 / samples**0.5)
    ordinary = model[1](inputs).softmax(-1)
    assert (ordinary - expected).abs().max() > 0.02


def test_moments_of_a_linear_model(inputs):
    """Mean w'x, variance p / (1 - p) * sum of w_j^2 x_j^2."""
    p, samples = 0.5, 4000
    model = linear(p)
    outputs = technique("mc_dropout", samples=samples).predict(
        {}, PredictionView({}, predictor(model, inputs), inputs, Rng(0, "test"))
    )
    variance = p / (1 - p) * inputs.square() @ model[1].weight.detach().square().T
    error = 5 * (variance / samples).sqrt()
    assert ((outputs.mean(0) - model[1](inputs).detach()).abs() < error).all()
    torch.testing.assert_close(outputs.var(0), variance, rtol=0.15, atol=0)


def test_normalization_stays_in_evaluation(inputs):
    """With no dropout, but with batch normalization, every pass is the ordinary one."""
    block = Block(nn.Linear(4, 8), nn.ReLU())
    block.norm.append(nn.BatchNorm1d(8))
    block.dropout.append(DropoutLayer(0.0))
    network = predictor(nn.Sequential(block, nn.Linear(8, 3)), inputs)
    outputs = technique("mc_dropout", samples=3).predict(
        {}, PredictionView({}, network, inputs, Rng(0, "test"))
    )
    for one in outputs:
        assert torch.equal(one, network(inputs))


def test_a_run_trains_as_without_and_is_tested_otherwise():
    data, dropout = make_data(), technique("dropout")
    both = {"dropout": dropout, "mc_dropout": technique("mc_dropout")}
    (ours,), _ = run([make_member(techniques=both, data=data)])
    (plain,), _ = run([make_member(techniques={"dropout": dropout}, data=data)])
    for name, value in ours.last["weights"].items():
        assert torch.equal(value, plain.last["weights"][name])
    assert ours.metrics["test/loss"] != plain.metrics["test/loss"]


def test_says_that_it_needs_a_stochastic_layer():
    mc, dropout = technique("mc_dropout"), technique("dropout")
    with pytest.raises(NotApplicable, match=r"regularizer=\[dropout,mc_dropout\]"):
        Cocktail({"mc": mc}).build(MLP((4,), 3, [8], "relu"))
    for techniques in ({"dropout": dropout, "mc": mc}, {"mc": mc, "dropout": dropout}):
        Cocktail(techniques).build(MLP((4,), 3, [8], "relu"))


@pytest.mark.parametrize("order", [*itertools.permutations(("mc", "noise", "dropout"))])
def test_refuses_noise_that_follows_a_schedule_wherever_it_is_listed(order):
    techniques = {
        "mc": technique("mc_dropout"),
        "noise": technique("gaussian_dropout").with_values({"p": Schedule(0.5, 0.1)}),
        "dropout": technique("dropout"),
    }
    with pytest.raises(NotApplicable, match="the noise of noise follows a schedule"):
        make_member(techniques={name: techniques[name] for name in order})
