"""Symmetric cross-entropy: the authors' loss in NumPy; the reverse's sum over all labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, not_called, technique


@pytest.fixture
def outputs():
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(50, 4, generator=generator, dtype=torch.float64)


def loss_of(outputs, targets, **numbers):
    """The plain loss with the penalty."""
    view = PenaltyView({}, outputs, Batch(outputs, targets), not_called, cross_entropy, {})
    penalty = technique("symmetric_cross_entropy", **numbers).penalty(make_step(), view)
    return (cross_entropy(outputs, targets).mean() + penalty).item()


def authors(p, y, alpha, beta, least):
    """https://github.com/YisenWang/symmetric_cross_entropy_for_noisy_labels, loss.py."""
    entropy = -(y * np.log(np.clip(p, 1e-7, 1))).sum(-1)
    reverse = -(p * np.log(np.clip(y, least, 1))).sum(-1)
    return (alpha * entropy + beta * reverse).mean()


@pytest.mark.parametrize(("alpha", "beta"), [(0.1, 1.0), (6.0, 0.1), (0.0, 2.0)])
@pytest.mark.parametrize("cap", [4.0, -np.log(1e-4)])
def test_it_is_the_authors_for_hard_and_mixed_targets(outputs, alpha, beta, cap):
    targets = torch.eye(4).double()[torch.arange(50) % 4]
    targets[25:] = 0.3 * targets[25:] + 0.7 * targets[25:].roll(1, 0)
    expected = authors(outputs.softmax(-1).numpy(), targets.numpy(), alpha, beta, np.exp(-cap))
    ours = loss_of(outputs, targets, alpha=alpha, beta=beta, cap=float(cap))
    assert ours == pytest.approx(expected, rel=1e-12)


def test_reverse_adds_up_to_the_same_over_all_labels(outputs):
    """Theorem 1 of the paper, by which it bears labels that are wrong uniformly."""
    losses = [
        loss_of(outputs, torch.eye(4).double()[label].expand(50, 4), alpha=0.0, beta=1.0, cap=4.0)
        for label in range(4)
    ]
    assert sum(losses) == pytest.approx((4 - 1) * 4.0)


def test_with_the_whole_cross_entropy_it_is_poly_loss(outputs):
    targets = torch.eye(4).double()[torch.arange(50) % 4]
    view = PenaltyView({}, outputs, Batch(outputs, targets), not_called, cross_entropy, {})
    poly = technique("poly_loss", epsilon=0.5 * 4).penalty(make_step(), view)
    ours = technique("symmetric_cross_entropy", alpha=1, beta=0.5, cap=4)
    torch.testing.assert_close(ours.penalty(make_step(), view), poly, rtol=1e-12, atol=0)
