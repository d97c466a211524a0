"""Proximal steps: scikit-learn's Lasso and MultiTaskLasso, with the same zeros."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, MultiTaskLasso

from tests.support import make_step, technique


def descend(regularizer, x, y, rate, steps, momentum=0.0):
    """Gradient descent on the mean squared error with the regularizer after each step.

    `y`: [rows, outputs]; the loss is the mean over rows of the sum over outputs.
    """
    w = velocity = torch.zeros(y.shape[1], x.shape[1], dtype=x.dtype)
    for index in range(steps):
        gradient = 2 * (x @ w.T - y).T @ x / len(y)
        velocity = momentum * velocity + gradient
        step = make_step(index, rate)
        w = regularizer.constrain(step, {"w": w - rate * velocity}, {"w": w})["w"]
    return w


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.6])
def test_l1_is_lasso_with_the_same_zeros(regression, alpha):
    x, y = regression
    best = Lasso(alpha, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y).coef_
    ours = descend(technique("proximal_l1", strength=2 * alpha), x, y[:, None], 0.1, 1500)
    assert 0 < np.count_nonzero(best) < len(best)
    np.testing.assert_allclose(ours[0].numpy(), best, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours[0].numpy() == 0, best == 0)


def test_momentum_divides_the_strength(regression):
    x, y = regression
    best = Lasso(0.2, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y).coef_
    proximal = technique("proximal_l1", strength=2 * 0.2 / (1 - 0.5))
    ours = descend(proximal, x, y[:, None], 0.05, 2000, momentum=0.5)
    np.testing.assert_allclose(ours[0].numpy(), best, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours[0].numpy() == 0, best == 0)


def test_l1_minimizes_its_proximal_objective():
    """prox(v) = argmin t * |w| + (w - v)^2 / 2, on a fine grid of w."""
    values = torch.tensor([[-2.0, -0.3, -0.2, 0.0, 0.1, 0.5]], dtype=torch.float64)
    ours = technique("proximal_l1", strength=3.0).constrain(
        make_step(learning_rate=0.1), {"w": values}, {"w": values}
    )["w"]
    grid = torch.linspace(-3, 3, 60_001, dtype=torch.float64)[:, None]
    best = grid[(0.3 * grid.abs() + (grid - values).square() / 2).argmin(0), 0]
    torch.testing.assert_close(ours[0], best, rtol=0, atol=5.1e-5)
    assert torch.equal(ours[0] == 0, torch.tensor([False, True, True, True, True, False]))


def several(x):
    """Targets [rows, 3] of which some features have no part in any."""
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(3, x.shape[1], generator=generator, dtype=x.dtype)
    w[:, ::2] = 0
    noise = torch.randn(len(x), 3, generator=generator, dtype=x.dtype)
    return x @ w.T + 0.3 * noise


def test_groups_of_inputs_are_multi_task_lasso_with_the_same_zeros(regression):
    x, y = regression[0], several(regression[0])
    alpha = 0.2
    best = MultiTaskLasso(alpha, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y).coef_
    # their loss is half of ours, their groups have no factor sqrt(size)
    proximal = technique(
        "group_lasso_proximal", strength=2 * alpha / math.sqrt(3), groups="outgoing"
    )
    ours = descend(proximal, x, y, 0.1, 2000).numpy()
    zero = (best == 0).all(0)
    assert zero.any()
    assert not zero.all()
    np.testing.assert_allclose(ours, best, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(ours == 0, best == 0)
    # Karush, Kuhn, Tucker: of their loss, per feature
    slope = (x.numpy() @ ours.T - y.numpy()).T @ x.numpy() / len(y)
    norms = np.linalg.norm(ours, axis=0)
    np.testing.assert_allclose(
        slope[:, ~zero], (-alpha * ours / np.where(zero, 1, norms))[:, ~zero], rtol=0, atol=1e-14
    )
    assert (np.linalg.norm(slope[:, zero], axis=0) < alpha).all()


@pytest.mark.parametrize(("groups", "axis"), [("outgoing", 1), ("incoming", 0)])
def test_groups_shrink_by_their_norm_or_vanish(groups, axis):
    w = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w.select(axis, 0).mul_(1e-3)
    proximal = technique("group_lasso_proximal", strength=2.0, groups=groups)
    new = proximal.constrain(make_step(learning_rate=0.1), {"w": w}, {"w": w})["w"]
    for index in range(w.shape[axis]):
        before, after = w.select(axis, index), new.select(axis, index)
        limit = 0.2 * math.sqrt(before.numel())
        expected = before * max(0.0, 1 - limit / float(before.norm()))
        torch.testing.assert_close(after, expected, rtol=1e-14, atol=1e-14)
    assert (new.select(axis, 0) == 0).all()
    assert (new.select(axis, 1) != 0).all()


@pytest.mark.parametrize("name", ["proximal_l1", "group_lasso_proximal"])
def test_zero_changes_no_bit(name):
    w = torch.tensor([[0.0, 0.0, 0.0], [1e30, -1e-40, 0.0], [-3.0, 2.0, 1.0]])
    kind, other = type(technique(name)), "weights" if name == "proximal_l1" else "incoming"
    for zero in (0.0, torch.tensor(0.0, dtype=torch.float64)):
        new = kind(zero, other).constrain(make_step(), {"w": w}, {"w": w})["w"]
        assert torch.equal(new, w)
        assert new.dtype == w.dtype
