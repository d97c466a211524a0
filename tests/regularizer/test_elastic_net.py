"""Elastic net: scikit-learn's is its optimum; its ends are lasso and ridge."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import ElasticNet

from tests.support import make_step, make_view, technique


@pytest.mark.parametrize("ratio", [0.2, 0.7, 1.0])
def test_optimum_is_that_of_scikit_learn(regression, ratio):
    x, y = regression
    alpha = 0.25
    net = technique("elastic_net", strength=2 * alpha, ratio=ratio)
    best = ElasticNet(alpha, l1_ratio=ratio, fit_intercept=False, tol=1e-14, max_iter=100_000).fit(
        x, y
    )
    weight = torch.from_numpy(best.coef_).reshape(1, -1).requires_grad_()
    loss = F.mse_loss((x @ weight.T).squeeze(1), y)
    penalty = net.penalty(make_step(), make_view({"weight": weight}))
    (slope,) = torch.autograd.grad(loss, weight, retain_graph=True)
    (both,) = torch.autograd.grad(loss + penalty, weight)
    zero = weight == 0
    assert zero.any()
    assert both[~zero].abs().max() < 1e-9
    assert (slope[zero].abs() <= 2 * alpha * ratio + 1e-9).all()
    absolute, squared = weight.detach().abs().sum(), weight.detach().square().sum()
    expected = 2 * alpha * (ratio * absolute + (1 - ratio) / 2 * squared)
    torch.testing.assert_close(penalty.detach(), expected, rtol=1e-14, atol=0)


def test_its_ends_are_l1_and_half_of_l2(network):
    step, view = make_step(), make_view(network)
    l1 = technique("l1", strength=0.3).penalty(step, view)
    l2 = technique("l2", strength=0.3).penalty(step, view)
    lasso_end = technique("elastic_net", strength=0.3, ratio=1).penalty(step, view)
    ridge_end = technique("elastic_net", strength=0.3, ratio=0).penalty(step, view)
    torch.testing.assert_close(lasso_end, l1, rtol=1e-15, atol=0)
    torch.testing.assert_close(ridge_end, l2 / 2, rtol=1e-15, atol=0)
