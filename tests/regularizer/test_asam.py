"""ASAM: the closed form on a quadratic, the steps of the authors' code, and its invariance."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.regularizer.base import GradientView
from tests.support import make_step, technique


def quadratic(a):
    return lambda parameters: {"w": a @ parameters["w"]}


def loss_gradient(model, x, y):
    """The gradients of the squared error of `model` by parameter, at any parameters."""

    def gradient(parameters):
        needed = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        with torch.enable_grad():
            loss = (torch.func.functional_call(model, needed, (x,)) - y).square().mean()
        return dict(zip(needed, torch.autograd.grad(loss, list(needed.values())), strict=True))

    return gradient


@pytest.fixture
def problem():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    x, y = torch.randn(20, 4).double(), torch.randn(20, 2).double()
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    return model, start, loss_gradient(model, x, y)


@pytest.mark.parametrize("eta", [0.0, 0.01])
def test_closed_form_on_a_quadratic(eta):
    """The gradient of w'Aw/2 at w + rho * T^2 A w / |T A w|."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    a = root @ root.T
    w = ours = torch.randn(5, generator=generator, dtype=torch.float64)
    asam = technique("asam", rho=0.3, eta=eta)
    for _ in range(20):
        t = torch.diag(w.abs() + eta)
        w = w - 0.05 * a @ (w + 0.3 * t @ t @ a @ w / (t @ a @ w).norm())
        point = {"w": ours}
        new = asam.gradient(make_step(), GradientView(quadratic(a)(point), point, quadratic(a)))
        ours = ours - 0.05 * new["w"]
        torch.testing.assert_close(ours, w, rtol=0, atol=1e-12)


def test_steps_of_the_authors_code(problem):
    """Scale each slope by T, take one norm, scale by T again, ascend; here for biases too."""
    model, start, gradient = problem
    plain = gradient(start)
    ours = technique("asam", rho=0.5, eta=0.01).gradient(
        make_step(), GradientView(plain, start, gradient)
    )

    moved, slopes = [], []
    for name, p in model.named_parameters():
        t = p.detach().abs().add(0.01)
        slopes.append(plain[name] * t)
        moved.append((p, t))
    norm = torch.norm(torch.stack([torch.norm(slope, p=2) for slope in slopes]), p=2) + 1e-16
    with torch.no_grad():
        for (p, t), slope in zip(moved, slopes, strict=True):
            p.add_(slope * t * (0.5 / norm))
    there = gradient(dict(model.named_parameters()))
    for name, value in there.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-14)
        assert not torch.equal(ours[name], plain[name])


def test_neighbourhood_follows_a_rescaling_that_keeps_the_function(problem):
    """Layer 1 times c, layer 2 over c: gradients over c and times c. SAM's are not."""
    _, start, gradient = problem
    c = 10.0
    scale = {"0.weight": c, "0.bias": c, "2.weight": 1 / c, "2.bias": 1.0}
    other = {name: scale[name] * p for name, p in start.items()}

    def errors(chosen):
        ours = chosen.gradient(make_step(), GradientView(gradient(start), start, gradient))
        theirs = chosen.gradient(make_step(), GradientView(gradient(other), other, gradient))
        return max(float((theirs[n] * scale[n] - ours[n]).abs().max()) for n in start)

    assert errors(technique("asam", rho=0.5, eta=0.0)) < 1e-12
    assert errors(technique("sam", rho=0.5)) > 1e-3


def test_a_zero_gradient_moves_nothing():
    gradient, point = quadratic(torch.eye(3)), {"w": torch.zeros(3)}
    new = technique("asam").gradient(make_step(), GradientView(gradient(point), point, gradient))
    assert torch.equal(new["w"], torch.zeros(3))
