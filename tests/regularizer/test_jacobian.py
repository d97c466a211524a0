"""Jacobian penalty: a linear network's norm_F(W)^2 in expectation, torch.func.jacrev elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.random import Rng
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique


def look(model, x):
    """What a penalty sees of `model` on rows `x`."""
    parameters = dict(model.named_parameters())

    def network(inputs, parameters=parameters, rng=None):
        return torch.func.functional_call(model, parameters, (inputs,))

    outputs = model(x)
    targets = torch.zeros_like(outputs)
    return PenaltyView(
        parameters, outputs, Batch(x, targets), network, lambda *_: pytest.fail("unused"), {}
    )


def rows(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def test_one_output_is_exact():
    """The unit vectors of one dimension are 1 and -1."""
    linear = nn.Linear(5, 1).double()
    value = technique("jacobian", strength=0.3).penalty(make_step(), look(linear, rows(7, 5)))
    expected = 0.3 * linear.weight.square().sum()
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)
    (slope,) = torch.autograd.grad(value, linear.weight)
    torch.testing.assert_close(slope, 0.6 * linear.weight, rtol=1e-14, atol=0)


def test_is_the_norm_of_a_linear_network_in_expectation():
    """The mean over many rows of a linear network is a mean over as many projections."""
    linear = nn.Linear(5, 4).double()
    n = 20_000
    value = technique("jacobian", strength=1.0).penalty(make_step(), look(linear, rows(n, 5)))
    gram = linear.weight @ linear.weight.T
    expected = gram.trace()
    k = len(gram)
    # the variance of k * v'Gv for v uniform on the sphere: 2 (k |G|_F^2 - tr(G)^2) / (k + 2)
    spread = (2 * (k * gram.square().sum() - expected**2) / (k + 2) / n).sqrt()
    assert 0 < spread < 0.01 * expected
    assert abs(value - expected) < 5 * spread


@pytest.mark.parametrize("projections", [1, 3])
def test_value_and_gradient_are_those_of_the_whole_jacobian(model, projections):
    """The same directions through the Jacobian of each row, written out."""
    x = rows(6, 5)
    jacobian = technique("jacobian", strength=0.3, projections=projections)
    value = jacobian.penalty(make_step(seed=4), look(model, x))
    rng = Rng(4, "test", 0)
    whole = torch.vmap(torch.func.jacrev(model))(x)  # [rows, outputs, inputs]
    terms = []
    for _ in range(projections):
        v = rng.normal((6, 3)).double()
        v = v / v.norm(dim=1, keepdim=True)
        terms.append(torch.einsum("ro,roi->ri", v, whole).square().sum(1).mean())
    expected = 0.3 * 3 * sum(terms) / projections
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    slopes = torch.autograd.grad(value, list(model.parameters()), materialize_grads=True)
    others = torch.autograd.grad(expected, list(model.parameters()), materialize_grads=True)
    for slope, other in zip(slopes, others, strict=True):
        torch.testing.assert_close(slope, other, rtol=0, atol=1e-12)


def test_many_projections_come_close_to_the_norm(model):
    x = rows(30, 5)
    exact = torch.vmap(torch.func.jacrev(model))(x).square().sum((1, 2)).mean()
    jacobian = technique("jacobian", strength=1.0, projections=300)
    value = jacobian.penalty(make_step(), look(model, x))
    assert value.item() == pytest.approx(exact.item(), rel=0.03)


def test_images_count_all_their_pixels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1)).double()
    x = rows(5, 2, 4, 4)
    value = technique("jacobian", strength=1.0).penalty(make_step(), look(model, x))
    whole = torch.vmap(torch.func.jacrev(lambda one: model(one[None])[0]))(x)
    expected = whole.flatten(1).square().sum(1).mean()
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)


def test_batch_normalization_does_not_cancel_it():
    """It takes away a shift that all rows have in common, not the slope of each."""
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(8, track_running_stats=False)
    model = nn.Sequential(nn.Linear(5, 8), norm, nn.Tanh(), nn.Linear(8, 3)).double()
    x = rows(40, 5)
    value = technique("jacobian", strength=1.0, projections=200).penalty(
        make_step(), look(model, x)
    )
    whole = torch.func.jacrev(model)(x)  # [rows, outputs, rows, inputs]
    exact = whole.square().sum() / len(x)
    assert value.item() == pytest.approx(exact.item(), rel=0.03)
    assert value > 0.1
