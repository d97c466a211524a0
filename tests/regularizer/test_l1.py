"""L1: scikit-learn's lasso and L1 logistic regression are its optima."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Lasso, LogisticRegression

from tests.support import make_step, make_view, technique


def test_is_the_sum_of_absolute_weights_without_biases(network):
    value = technique("l1", strength=0.3).penalty(make_step(), make_view(network))
    expected = 0.3 * (network["0.weight"].abs().sum() + network["1.weight"].abs().sum())
    torch.testing.assert_close(value, expected, rtol=1e-15, atol=0)


def test_include_all_counts_every_parameter(network):
    value = technique("l1", strength=0.3, include="all").penalty(make_step(), make_view(network))
    expected = 0.3 * sum(p.abs().sum() for p in network.values())
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)


def assert_stationary(weight, loss, penalty, strength, tolerance):
    """The conditions of Karush, Kuhn and Tucker for loss(w) + strength * sum |w| at `weight`."""
    weight = weight.clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(weight), weight)
    (both,) = torch.autograd.grad(loss(weight) + penalty(weight), weight)
    zero = weight == 0
    assert zero.any()
    assert not zero.all()
    assert both[~zero].abs().max() < tolerance
    assert (slope[zero].abs() <= strength + tolerance).all()


def test_optimum_is_that_of_lasso(regression):
    x, y = regression
    alpha = 0.2
    l1 = technique("l1", strength=2 * alpha)  # the mean squared error has no 1/2
    best = Lasso(alpha, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y)
    weight = torch.from_numpy(best.coef_).reshape(1, -1)

    def loss(w):
        return F.mse_loss((x @ w.T).squeeze(1), y)

    def penalty(w):
        return l1.penalty(make_step(), make_view({"weight": w}))

    assert_stationary(weight, loss, penalty, 2 * alpha, tolerance=1e-9)
    residual = np.square(y.numpy() - x.numpy() @ best.coef_).sum() / (2 * len(y))
    expected = 2 * (residual + alpha * np.abs(best.coef_).sum())
    assert float(loss(weight) + penalty(weight)) == pytest.approx(expected, abs=1e-12)


def test_gradient_descent_reaches_the_objective_of_lasso(regression):
    x, y = regression
    l1 = technique("l1", strength=0.4)
    best = Lasso(0.2, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(x, y)

    def objective(w):
        return F.mse_loss((x @ w.T).squeeze(1), y) + l1.penalty(
            make_step(), make_view({"weight": w})
        )

    weight = torch.zeros(1, x.shape[1], dtype=x.dtype, requires_grad=True)
    rate = 0.2
    for _ in range(600):
        (gradient,) = torch.autograd.grad(objective(weight), weight)
        weight = (weight - rate * gradient).detach().requires_grad_()
        rate *= 0.97
    gap = objective(weight) - objective(torch.from_numpy(best.coef_).reshape(1, -1))
    assert 0 <= gap < 1e-6


def test_optimum_is_that_of_l1_logistic_regression(regression):
    x, y = regression
    label = (y > 0).double()
    c = 0.2
    strength = 1 / (c * len(label))
    l1 = technique("l1", strength=strength)
    best = LogisticRegression(
        C=c, l1_ratio=1.0, solver="liblinear", fit_intercept=False, tol=1e-10, max_iter=10_000
    ).fit(x, label)
    weight = torch.from_numpy(best.coef_)

    def loss(w):
        return F.binary_cross_entropy_with_logits((x @ w.T).squeeze(1), label)

    def penalty(w):
        return l1.penalty(make_step(), make_view({"weight": w}))

    assert_stationary(weight, loss, penalty, strength, tolerance=4e-7)
