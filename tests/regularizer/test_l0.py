"""L0: the closed form of the expected number of open gates, and how often gates are open."""

from __future__ import annotations

import math

import pytest
import scipy.integrate
import scipy.special
import torch
from torch import nn

from regexp.model.cnn import CNN
from regexp.model.layers import Noise, fill_noise, note_shapes
from regexp.model.mlp import MLP
from regexp.model.recurrent import Recurrent
from regexp.random import Rng
from regexp.regularizer.base import Block
from regexp.regularizer.l0 import HardConcrete, open_probability
from tests.support import make_step, make_view, technique

BETA, GAMMA, ZETA = 2 / 3, -0.1, 1.1  # of the paper's section 4
LOCATIONS = [-3.0, -0.5, 0.0, 0.8, 2.5]


def gate(u, log_alpha):
    """A gate by eq. 10 and 11 of the paper, in numpy."""
    s = scipy.special.expit((scipy.special.logit(u) + log_alpha) / BETA)
    return min(1.0, max(0.0, s * (ZETA - GAMMA) + GAMMA))


def drawn(log_alpha, rows, seed=0):
    """What a layer with these gates makes of ones, [rows, gates], in float64."""
    layer = HardConcrete(len(log_alpha), 0, 0.5)
    layer.log_alpha = nn.Parameter(torch.tensor(log_alpha, dtype=torch.float64))
    layer.noise = layer.draw(Rng(seed, "test"), rows)
    return layer, layer(torch.ones(rows, len(log_alpha), dtype=torch.float64)).detach()


def test_expected_open_gates_are_the_closed_form():
    log_alpha = torch.tensor(LOCATIONS, dtype=torch.float64)
    parameters = {"0.layer.weight": torch.ones(5, 3), "0.dropout.0.log_alpha": log_alpha,
                  "1.dropout.0.log_alpha": log_alpha[:2]}  # fmt: skip
    value = technique("l0", strength=0.3).penalty(make_step(), make_view(parameters))

    def closed(a):  # eq. 12: 1 - Q(s <= 0), where s <= 0 is u <= this
        return scipy.special.expit(BETA * scipy.special.logit(-GAMMA / (ZETA - GAMMA)) - a)

    expected = sum(1 - closed(a) for a in LOCATIONS) + sum(1 - closed(a) for a in LOCATIONS[:2])
    assert float(value) == pytest.approx(0.3 * expected, rel=1e-14)


def test_gates_are_open_as_often_as_the_closed_form_says():
    rows = 100_000
    _, gates = drawn(LOCATIONS, rows)
    expected = open_probability(torch.tensor(LOCATIONS, dtype=torch.float64))
    deviation = (expected * (1 - expected) / rows).sqrt()
    assert (((gates > 0).double().mean(0) - expected).abs() < 4 * deviation).all()
    # and fully open as often as 1 - Q(s <= 1)
    full = torch.sigmoid(torch.tensor(LOCATIONS) - BETA * math.log((1 - GAMMA) / (ZETA - 1)))
    deviation = (full * (1 - full) / rows).sqrt()
    assert (((gates == 1).double().mean(0) - full).abs() < 4 * deviation).all()


def test_mean_gate_is_the_integral_of_the_papers_formula():
    rows = 100_000
    _, gates = drawn(LOCATIONS, rows)
    for index, log_alpha in enumerate(LOCATIONS):
        mean, _ = scipy.integrate.quad(gate, 0, 1, args=(log_alpha,), limit=200)
        assert abs(gates[:, index].mean() - mean) < 4 * gates[:, index].std() / rows**0.5


def test_a_gate_is_the_papers_formula_of_its_uniform_draw():
    layer, gates = drawn(LOCATIONS, 50, seed=3)
    uniform = Rng(3, "test").uniform((50, len(LOCATIONS))).double()
    for row in range(50):
        for index, log_alpha in enumerate(LOCATIONS):
            expected = gate(float(uniform[row, index]), log_alpha)
            assert float(gates[row, index]) == pytest.approx(expected, abs=1e-5)  # float32's logit
    # exactly, from the noise that was drawn
    s = torch.sigmoid((layer.noise.double() + layer.log_alpha) / BETA)
    torch.testing.assert_close(
        gates, (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1).detach(), rtol=0, atol=1e-15
    )


def test_evaluation_uses_the_deterministic_gate_with_exact_zeros():
    layer, _ = drawn([-5.0, *LOCATIONS, 5.0], 4)
    x = torch.ones(4, 7, dtype=torch.float64)
    out = layer.eval()(x)
    s = torch.sigmoid(layer.log_alpha)
    expected = (s * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
    torch.testing.assert_close(out, expected.expand(4, 7), rtol=0, atol=1e-15)
    assert (out[:, 0] == 0).all()
    assert (out[:, -1] == 1).all()


def test_gradient_of_the_penalty_is_that_of_a_sigmoid():
    log_alpha = torch.tensor(LOCATIONS, dtype=torch.float64, requires_grad=True)
    view = make_view({"0.dropout.0.log_alpha": log_alpha})
    (slope,) = torch.autograd.grad(
        technique("l0", strength=0.3).penalty(make_step(), view), log_alpha
    )
    p = open_probability(log_alpha.detach())
    torch.testing.assert_close(slope, 0.3 * p * (1 - p), rtol=1e-14, atol=0)


def gates_of(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, Noise)}


def test_stands_after_every_hidden_activation():
    torch.manual_seed(0)
    model = technique("l0", closed=0.2).build(MLP([8], 3, [16, 12], "relu"))
    layers = gates_of(model)
    assert list(layers) == ["hidden.0.dropout.0", "hidden.1.dropout.0"]
    for layer, features in zip(layers.values(), (16, 12), strict=True):
        expected = torch.full((features,), math.log(0.8 / 0.2))
        torch.testing.assert_close(layer.log_alpha.detach(), expected)
    torch.testing.assert_close(
        open_probability(torch.zeros(())), torch.tensor(0.8318), rtol=1e-4, atol=0
    )


def test_a_channel_has_one_gate_a_row_and_a_feature_one_for_all_times():
    torch.manual_seed(0)
    images = technique("l0").build(CNN([1, 8, 8], 3, [4], 16, "relu"))
    sequence = Block(Recurrent("gru", 2, 5), nn.Identity())
    technique("l0").build(nn.Sequential(sequence))
    for model, example in ((images, torch.zeros(1, 1, 8, 8)), (sequence, torch.zeros(1, 7, 2))):
        note_shapes(model, example)
        fill_noise(model, Rng(0, "noise"), 50)
    layer = images.features[0].dropout[0]
    out = layer(torch.ones(50, 4, 8, 8))
    assert torch.equal(out, out[:, :, :1, :1].expand_as(out))
    assert len(out[:, :, 0, 0].unique()) > 50
    out = sequence.dropout[0](torch.ones(50, 7, 5))
    assert torch.equal(out, out[:, :1].expand_as(out))
    assert len(out[:, 0].unique()) > 50


@pytest.mark.parametrize("dimensions", [0, 1, 2])
def test_a_run_axis_in_front_changes_nothing(dimensions):
    shape = {0: (6, 3), 1: (6, 4, 3), 2: (6, 3, 4, 4)}[dimensions]
    runs = [HardConcrete(3, dimensions, closed) for closed in (0.3, 0.6)]
    x = torch.randn(2, *shape)
    both = HardConcrete(3, dimensions, 0.5)
    for run, layer in enumerate(runs):
        layer.noise = layer.draw(Rng(run, "test"), 6)
    both.log_alpha = nn.Parameter(torch.stack([layer.log_alpha.detach() for layer in runs]))
    both.noise = torch.stack([layer.noise for layer in runs])
    for training in (True, False):
        out = both.train(training)(x)
        for run, layer in enumerate(runs):
            torch.testing.assert_close(out[run], layer.train(training)(x[run]))
