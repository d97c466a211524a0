"""Confidence penalty: torch.distributions' entropy, subtracted."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from tests.support import make_step, make_view, technique


def look(logits):
    return make_view({})._replace(outputs=logits)


def logits():
    return 3 * torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_subtracts_the_mean_entropy():
    value = technique("confidence_penalty", strength=0.3).penalty(make_step(), look(logits()))
    expected = -0.3 * Categorical(logits=logits()).entropy().mean()
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)
    assert value < 0


def test_is_the_divergence_from_the_uniform_distribution_but_for_a_constant():
    value = technique("confidence_penalty", strength=1.0).penalty(make_step(), look(logits()))
    uniform = Categorical(logits=torch.zeros_like(logits()))
    expected = kl_divergence(Categorical(logits=logits()), uniform).mean() - math.log(4)
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=0)


def test_gradient_is_the_closed_form():
    """dH/dT_k = -p_k (log p_k + H)."""
    t = logits().requires_grad_()
    value = technique("confidence_penalty", strength=0.3).penalty(make_step(), look(t))
    (slope,) = torch.autograd.grad(value, t)
    p = t.detach().softmax(1)
    entropy = Categorical(probs=p).entropy()[:, None]
    expected = 0.3 * p * (p.log() + entropy) / len(t)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_certain_predictions_have_no_entropy_and_a_finite_gradient(size):
    t = (size * torch.eye(3)).requires_grad_()
    value = technique("confidence_penalty").penalty(make_step(), look(t))
    (slope,) = torch.autograd.grad(value, t)
    assert value == 0
    assert (slope == 0).all()
