"""L2-SP: zero at the start, ridge regression towards it as its optimum."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge

from tests.support import BY_NAME, make_step, make_view, minimize, technique


def penalty(start, parameters, **changes):
    l2_sp = technique("l2_sp", **changes)
    return l2_sp.penalty(make_step(memory=l2_sp.init(start, BY_NAME)), make_view(parameters))


@pytest.mark.parametrize("include", ["weights", "all"])
def test_is_zero_with_zero_gradient_at_the_start(network, include):
    point = {name: value.clone().requires_grad_() for name, value in network.items()}
    value = penalty(network, point, include=include)
    assert value == 0
    slopes = torch.autograd.grad(value, list(point.values()), materialize_grads=True)
    assert all((slope == 0).all() for slope in slopes)


def test_gradient_is_twice_the_distance(network):
    point = {name: (value + 1).requires_grad_() for name, value in network.items()}
    value = penalty(network, point, strength=0.3)
    assert value.item() == pytest.approx(0.3 * 20, rel=1e-14)  # 12 and 8 weights, no biases
    slopes = torch.autograd.grad(value, list(point.values()), materialize_grads=True)
    for (name, start), slope in zip(network.items(), slopes, strict=True):
        moved = 0.6 * torch.ones_like(start) if name in ("0.weight", "1.weight") else 0 * start
        torch.testing.assert_close(slope, moved, rtol=1e-14, atol=0)


def test_include_all_counts_every_parameter(network):
    point = {name: value + 1 for name, value in network.items()}
    value = penalty(network, point, strength=1.0, include="all")
    assert float(value) == pytest.approx(sum(p.numel() for p in network.values()), rel=1e-14)


def test_optimum_is_ridge_towards_the_start(regression):
    """With v = w - w0 the objective is that of ridge regression on y - x w0."""
    x, y = regression
    start = torch.randn(1, 8, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    l2_sp = technique("l2_sp", strength=0.05)
    step = make_step(memory=l2_sp.init({"weight": start}, BY_NAME))

    def objective(w):
        return F.mse_loss((x @ w.T).squeeze(1), y) + l2_sp.penalty(step, make_view({"weight": w}))

    found = minimize(objective, torch.zeros_like(start)).squeeze(0)
    rest = y - x @ start[0]
    ridge = Ridge(alpha=len(y) * 0.05, fit_intercept=False, solver="cholesky").fit(x, rest)
    expected = start[0] + torch.from_numpy(ridge.coef_)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-9)
