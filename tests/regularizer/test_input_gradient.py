"""Input gradient penalty: the closed forms of linear and logistic regression."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from regexp.metrics.loss import cross_entropy, squared_error
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique


def look(model, x, targets, loss):
    """What a penalty sees of `model` on rows `x`."""
    parameters = dict(model.named_parameters())

    def network(inputs, parameters=parameters, rng=None):
        return torch.func.functional_call(model, parameters, (inputs,))

    return PenaltyView(parameters, model(x), Batch(x, targets), network, loss, {})


def rows(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("soft", [False, True])
def test_is_the_closed_form_of_logistic_regression(soft):
    """The loss's slope by a row is W^T (p - y)."""
    torch.manual_seed(0)
    linear = nn.Linear(5, 3).double()
    x = rows(20, 5)
    classes = torch.arange(20) % 3
    y = F.one_hot(classes, 3).double()
    if soft:
        y = 0.8 * y + 0.2 / 3
    view = look(linear, x, y if soft else classes, cross_entropy)
    value = technique("input_gradient", strength=0.3).penalty(make_step(), view)
    p = linear(x).softmax(1)
    expected = 0.3 * ((p - y) @ linear.weight).square().sum(1).mean()
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
    ours = torch.autograd.grad(value, list(linear.parameters()))
    theirs = torch.autograd.grad(expected, list(linear.parameters()))
    for slope, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(slope, other, rtol=0, atol=1e-14)


def test_value_and_gradient_are_the_closed_form_of_linear_regression():
    """Of (w'x - y)^2: 4 r^2 |w|^2, whose gradient is 8 r |w|^2 x + 8 r^2 w, with r = w'x - y."""
    linear = nn.Linear(5, 1, bias=False).double()
    x, y = rows(20, 5), rows(20, 1, seed=1)
    view = look(linear, x, y, squared_error)
    value = technique("input_gradient", strength=0.3).penalty(make_step(), view)
    (slope,) = torch.autograd.grad(value, linear.weight)
    w = linear.weight.detach()
    r = x @ w.T - y
    torch.testing.assert_close(
        value.detach(), 0.3 * 4 * r.square().mean() * w.square().sum(), rtol=1e-13, atol=0
    )
    expected = 0.3 * (8 * w.square().sum() * (r * x).mean(0) + 8 * r.square().mean() * w[0])
    torch.testing.assert_close(slope[0], expected, rtol=1e-12, atol=0)


def test_is_double_backpropagation_on_images():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3, 4)
    ).double()
    x, classes = rows(6, 2, 4, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    view = look(model, x, classes, cross_entropy)
    value = technique("input_gradient", strength=0.3).penalty(make_step(), view)
    ours = torch.autograd.grad(value, list(model.parameters()))
    needed = x.clone().requires_grad_()
    loss = F.cross_entropy(model(needed), classes, reduction="sum")
    (slopes,) = torch.autograd.grad(loss, needed, create_graph=True)
    expected = 0.3 * slopes.square().sum((1, 2, 3)).mean()
    theirs = torch.autograd.grad(expected, list(model.parameters()))
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)
    for slope, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(slope, other, rtol=0, atol=1e-14)
        assert (slope != 0).any()
