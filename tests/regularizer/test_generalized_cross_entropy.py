"""Generalized cross-entropy: scipy's Box-Cox transform of p, with the sign changed."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy import special

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, not_called, technique

SHARES = [1e-9, 0.3, 0.7, 1.0]


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)
    return (3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)).requires_grad_()


def loss_of(outputs, targets, q):
    """The plain loss with the penalty."""
    view = PenaltyView({}, outputs, Batch(outputs, targets), not_called, cross_entropy, {})
    penalty = technique("generalized_cross_entropy", q=q).penalty(make_step(), view)
    return cross_entropy(outputs, targets).mean() + penalty


@pytest.mark.parametrize("q", SHARES)
def test_of_soft_targets_it_is_the_mean_of_the_losses_of_classes(outputs, q):
    targets = torch.eye(4).double()[torch.arange(50) % 4]
    targets[25:] = 0.3 * targets[25:] + 0.7 * targets[25:].roll(1, 0)  # mixed rows
    losses = -special.boxcox(outputs.detach().softmax(-1).numpy(), q)
    expected = (targets.numpy() * losses).sum(1).mean()
    assert loss_of(outputs, targets, q).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("q", SHARES)
def test_slope_is_that_of_the_cross_entropy_times_a_power_of_p(outputs, q):
    """Section 3.2 of the paper."""
    labels = torch.arange(50) % 4
    p = outputs.detach().softmax(-1)[torch.arange(50), labels]
    weighted = (p**q * F.cross_entropy(outputs, labels, reduction="none")).mean()
    losses = loss_of(outputs, torch.eye(4).double()[labels], q), weighted
    slopes = [torch.autograd.grad(loss, outputs, retain_graph=True)[0] for loss in losses]
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("q", [0.0, 0.5])
def test_rows_far_off_have_finite_slopes(q):
    """The usual mistake: p**q of a p that is 0 in float32."""
    outputs = torch.tensor([[300.0, 0.0], [300.0, 0.0]], requires_grad=True)
    targets = torch.eye(2)
    loss = loss_of(outputs, targets, q)
    (slope,) = torch.autograd.grad(loss, outputs)
    assert loss.item() == pytest.approx(150.0 if q == 0 else 1 / (2 * q))
    assert slope.isfinite().all()
    assert slope.any() == (q == 0)
