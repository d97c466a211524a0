"""SAM: the closed form on a quadratic, and the authors' two steps on a network."""

from __future__ import annotations

import torch
from torch import nn

from regexp.regularizer.base import GradientView
from tests.support import make_step, technique


def quadratic(a):
    return lambda parameters: {"w": a @ parameters["w"]}


def test_closed_form_on_a_quadratic():
    """The gradient of w'Aw/2 taken at w + rho * Aw / |Aw|."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    a = root @ root.T
    w = ours = torch.randn(5, generator=generator, dtype=torch.float64)
    gradient = quadratic(a)
    sam = technique("sam", rho=0.3)
    for _ in range(20):
        w = w - 0.05 * a @ (w + 0.3 * (a @ w) / (a @ w).norm())
        point = {"w": ours}
        new = sam.gradient(make_step(), GradientView(gradient(point), point, gradient))
        ours = ours - 0.05 * new["w"]
        torch.testing.assert_close(ours, w, rtol=0, atol=1e-10)


def test_two_steps_of_the_authors_code():
    """Ascend in place, take the gradient there, go back: with one norm over all parameters."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    x, y = torch.randn(20, 4).double(), torch.randn(20, 2).double()
    names = [name for name, _ in model.named_parameters()]

    def gradient(parameters):
        needed = {name: p.detach().requires_grad_() for name, p in parameters.items()}
        with torch.enable_grad():
            loss = (torch.func.functional_call(model, needed, (x,)) - y).square().mean()
        return dict(zip(names, torch.autograd.grad(loss, list(needed.values())), strict=True))

    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    plain = gradient(start)
    with torch.no_grad():
        ours = technique("sam", rho=0.5).gradient(make_step(), GradientView(plain, start, gradient))

    loss = (model(x) - y).square().mean()
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    norm = torch.stack([slope.norm() for slope in slopes]).norm()
    with torch.no_grad():
        for p, slope in zip(model.parameters(), slopes, strict=True):
            p.add_(slope * 0.5 / (norm + 1e-12))
    (model(x) - y).square().mean().backward()
    for name, p in model.named_parameters():
        torch.testing.assert_close(ours[name], p.grad, rtol=0, atol=1e-14)
        assert not torch.equal(ours[name], plain[name])


def test_a_zero_gradient_moves_nothing():
    gradient, point = quadratic(torch.eye(3)), {"w": torch.zeros(3)}
    new = technique("sam").gradient(make_step(), GradientView(gradient(point), point, gradient))
    assert torch.equal(new["w"], torch.zeros(3))
