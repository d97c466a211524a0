"""L2: ridge regression is its optimum; with SGD it is torch's weight_decay."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge

from tests.support import make_step, make_view, minimize, technique


def test_is_the_sum_of_squared_weights_without_biases(network):
    value = technique("l2", strength=0.3).penalty(make_step(), make_view(network))
    expected = 0.3 * (network["0.weight"].square().sum() + network["1.weight"].square().sum())
    torch.testing.assert_close(value, expected, rtol=1e-15, atol=0)


def test_optimum_is_that_of_ridge(regression):
    x, y = regression
    l2 = technique("l2", strength=0.05)

    def objective(w):
        loss = F.mse_loss((x @ w.T).squeeze(1), y)
        return loss + l2.penalty(make_step(), make_view({"weight": w}))

    found = minimize(objective, torch.zeros(1, x.shape[1], dtype=x.dtype))
    ridge = Ridge(alpha=len(y) * 0.05, fit_intercept=False, solver="cholesky").fit(x, y)
    torch.testing.assert_close(found.squeeze(0), torch.from_numpy(ridge.coef_), rtol=0, atol=5e-9)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_is_twice_torchs_weight_decay(regression, optimizer):
    x, y = regression
    options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    l2 = technique("l2", strength=0.05)
    ours = torch.ones(1, x.shape[1], dtype=x.dtype, requires_grad=True)
    torchs = ours.detach().clone().requires_grad_()
    our_optimizer = optimizer([ours], lr=0.05, **options)
    torchs_optimizer = optimizer([torchs], lr=0.05, weight_decay=0.1, **options)
    for _ in range(30):
        loss = F.mse_loss((x @ ours.T).squeeze(1), y)
        our_optimizer.zero_grad()
        (loss + l2.penalty(make_step(), make_view({"weight": ours}))).backward()
        our_optimizer.step()
        torchs_optimizer.zero_grad()
        F.mse_loss((x @ torchs.T).squeeze(1), y).backward()
        torchs_optimizer.step()
        torch.testing.assert_close(ours, torchs, rtol=0, atol=1e-14)
    assert (ours - 1).abs().max() > 0.1
