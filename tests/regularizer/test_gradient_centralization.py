"""Gradient centralization: the paper's projection; sums of incoming weights stay."""

from __future__ import annotations

import torch
from torch import nn

from regexp.regularizer.base import GradientView
from tests.support import make_step, not_called, technique


def centred(gradients):
    return technique("gradient_centralization").gradient(
        make_step(), GradientView(gradients, gradients, not_called)
    )


def test_is_the_projection_of_the_paper():
    """Eq. 2: P g with P = I - e e', e = 1 / sqrt(n) in every place."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((6, 5), (4, 3, 2, 2)):
        g = torch.randn(shape, generator=generator, dtype=torch.float64)
        n = g[0].numel()
        e = torch.full((n,), n**-0.5, dtype=torch.float64)
        projection = torch.eye(n, dtype=torch.float64) - torch.outer(e, e)
        ours = centred({"w": g})["w"]
        expected = (g.flatten(1) @ projection).view(shape)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-15)
        assert ours.flatten(1).mean(1).abs().max() < 1e-16
        again = centred({"w": ours})["w"]
        torch.testing.assert_close(again, ours, rtol=0, atol=1e-15)


def test_sums_of_incoming_weights_stay_in_gradient_descent():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, y = torch.randn(30, 5).double(), torch.randn(30, 3).double()
    parameters = dict(model.named_parameters())
    start = {name: p.detach().clone() for name, p in parameters.items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(50):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        gradients = {name: p.grad for name, p in parameters.items()}
        for name, g in centred(gradients).items():
            parameters[name].grad = g
        optimizer.step()
    for name, p in parameters.items():
        if p.ndim == 2:
            assert not torch.allclose(p, start[name], atol=0.1)
            torch.testing.assert_close(p.detach().sum(1), start[name].sum(1), rtol=0, atol=1e-14)


def test_units_with_one_incoming_weight_still_learn():
    for shape in ((4, 1), (4, 1, 1, 1)):
        g = torch.randn(shape)
        assert torch.equal(centred({"w": g})["w"], g)
