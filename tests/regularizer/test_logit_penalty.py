"""Logit penalty: its closed form, and the logits of mean zero that it chooses."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from tests.support import make_step, make_view, minimize, technique


def test_is_the_mean_square_with_its_gradient():
    t = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t.requires_grad_()
    view = make_view({})._replace(outputs=t)
    value = technique("logit_penalty", strength=0.3).penalty(make_step(), view)
    (slope,) = torch.autograd.grad(value, t)
    t = t.detach()
    torch.testing.assert_close(value.detach(), 0.3 * (t * t).sum() / 80, rtol=1e-14, atol=0)
    torch.testing.assert_close(slope, 0.3 * 2 * t / 80, rtol=1e-14, atol=0)


def test_chooses_logits_of_mean_zero():
    """Cross-entropy alone leaves a constant free, and sends the right class's logit to infinity."""
    classes = torch.tensor([0, 1, 2, 1])
    penalty = technique("logit_penalty", strength=0.2)

    def objective(t):
        view = make_view({})._replace(outputs=t)
        return F.cross_entropy(t, classes) + penalty.penalty(make_step(), view)

    start = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    best = minimize(objective, start)
    torch.testing.assert_close(best.mean(1), torch.zeros(4, dtype=best.dtype), rtol=0, atol=1e-7)
    # stationary: (p - y)/rows + 2 * strength * t/(rows * classes) = 0
    slope = best.softmax(1) - F.one_hot(classes, 3)
    torch.testing.assert_close(best, -slope * 3 / (2 * 0.2), rtol=0, atol=1e-7)
