"""FGSM and PGD: the worst change of a linear model, epsilon * norm1(w), in closed form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from regexp.metrics.loss import cross_entropy, squared_error
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique


def view_of(model, inputs, targets, loss):
    """What the loop shows of `model`, which may be called at other parameters."""
    parameters = dict(model.named_parameters())

    def network(x, other=None):
        return torch.func.functional_call(model, other or parameters, (x,))

    return PenaltyView(parameters, model(inputs), Batch(inputs, targets), network, loss, {})


def linear(outputs=1):
    torch.manual_seed(0)
    return nn.Linear(6, outputs).double()


def random(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture(params=["fgsm", "pgd"])
def name(request):
    return request.param


def corner(name, **changes):
    """With steps long enough that PGD reaches the corner of the cube from wherever it starts."""
    return technique(name, **changes, **({"step_size": 1.0} if name == "pgd" else {}))


def test_regression_residual_grows_by_epsilon_times_norm1(name):
    """The worst loss is (|residual| + epsilon * norm1(w))^2."""
    model, x = linear(), random(40, 6)
    y = 10 * random(40, 1).sign()  # so far that no change turns a residual's sign
    view = view_of(model, x, y, squared_error)
    penalty = corner(name, epsilon=0.3, share=0.4).penalty(make_step(), view)
    residual = (model(x) - y).abs().squeeze(1)
    worst = (residual + 0.3 * model.weight.abs().sum()).square().mean()
    expected = 0.4 * (worst - residual.square().mean())
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0)


def test_logistic_margin_shrinks_by_epsilon_times_norm1(name):
    model, x = linear(2), random(40, 6)
    labels = torch.arange(40) % 2
    view = view_of(model, x, F.one_hot(labels, 2).double(), cross_entropy)
    penalty = corner(name, epsilon=0.2, share=1.0).penalty(make_step(), view)
    sign = (2 * labels - 1).double()
    difference = model.weight[1] - model.weight[0]
    margin = sign * (x @ difference + model.bias[1] - model.bias[0])
    worst = F.softplus(-(margin - 0.2 * difference.abs().sum())).mean()
    expected = worst - F.softplus(-margin).mean()
    torch.testing.assert_close(penalty, expected, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(value, model.weight)[0] for value in (penalty, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-14)


def network_view():
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    targets = F.one_hot(torch.arange(30) % 3, 3).double()
    seen = []
    view = view_of(model, random(30, 6), targets, cross_entropy)
    call = view.network

    def network(x, other=None):
        if other is None:  # not within the search
            seen.append(x.detach())
        return call(x, other)

    return PenaltyView(view.parameters, view.outputs, view.batch, network, view.loss, {}), seen


def test_fgsm_is_the_authors_step():
    view, seen = network_view()
    technique("fgsm", epsilon=0.1).penalty(make_step(), view)
    x = view.batch.inputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(view.loss(view.network(x), view.batch.targets).mean(), x)
    torch.testing.assert_close(seen[0], x.detach() + 0.1 * slope.sign(), rtol=0, atol=1e-15)


def test_pgd_stays_within_epsilon_and_is_worse_than_one_step():
    view, seen = network_view()
    several = technique("pgd", epsilon=0.5, steps=20, step_size=0.25, share=1.0)
    worse = several.penalty(make_step(), view)
    moved = (seen[0] - view.batch.inputs).abs()
    assert moved.max() <= 0.5 + 1e-12
    assert (moved > 0.5 - 1e-12).double().mean() > 0.5  # corners, mostly
    assert worse > technique("fgsm", epsilon=0.5, share=1.0).penalty(make_step(), view) > 0


def test_pgd_starts_at_random():
    view, seen = network_view()
    short = technique("pgd", epsilon=0.5, steps=1, step_size=1e-9)
    for index in (0, 1):
        short.penalty(make_step(index), view)
    first, second = ((x - view.batch.inputs) / 0.5 for x in seen)
    assert not torch.equal(first, second)
    assert abs(first.mean()) < 4 * (1 / 3 / first.numel()) ** 0.5  # uniform on [-1, 1]
    assert abs(first.var() - 1 / 3) < 0.08
