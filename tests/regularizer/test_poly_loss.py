"""PolyLoss: the series of the cross-entropy with its first coefficient changed; optax 0.2.8."""

from __future__ import annotations

import pytest
import torch

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, not_called, technique


def loss_of(outputs, targets, epsilon):
    """The plain loss with the penalty."""
    view = PenaltyView({}, outputs, Batch(outputs, targets), not_called, cross_entropy, {})
    penalty = technique("poly_loss", epsilon=epsilon).penalty(make_step(), view)
    return cross_entropy(outputs, targets).mean() + penalty


@pytest.mark.parametrize("epsilon", [-1.0, -0.4, 2.0])
def test_first_coefficient_of_the_series_is_changed(epsilon):
    """-log p = sum_j (1 - p)^j / j, of which 600 terms are exact where p > 0.05."""
    outputs = torch.randn(40, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = outputs.topk(2).indices[:, 1]  # the second likeliest: neither sure nor hopeless
    outputs.requires_grad_()
    doubt = 1 - outputs.softmax(-1).gather(1, labels[:, None])
    j = torch.arange(1, 601, dtype=torch.float64)
    series = ((1 / j + epsilon * (j == 1).double()) * doubt**j).sum(1).mean()
    ours = loss_of(outputs, torch.eye(4).double()[labels], epsilon)
    torch.testing.assert_close(ours, series, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(loss, outputs, retain_graph=True)[0] for loss in (ours, series)]
    torch.testing.assert_close(*slopes, rtol=1e-8, atol=1e-12)


OPTAX = {
    -1.0: [0.02690833124643291, 0.7287445187633],
    0.7: [0.3913933724446639, 1.8024751313363572],
    2.0: [0.6701172274786052, 2.6235632468334007],
}
"""`optax.losses.poly_loss_cross_entropy` by its epsilon, of a hard and of a soft target."""


@pytest.mark.parametrize("epsilon", OPTAX)
def test_soft_targets_have_the_loss_that_optax_gives_them(epsilon):
    outputs = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.3, -2.0]], dtype=torch.float64)
    targets = torch.tensor([[1.0, 0.0, 0.0], [0.2, 0.5, 0.3]], dtype=torch.float64)
    ours = [loss_of(outputs[row : row + 1], targets[row : row + 1], epsilon) for row in (0, 1)]
    assert torch.stack(ours).tolist() == pytest.approx(OPTAX[epsilon], rel=1e-12)


def test_rows_that_are_certain_add_nothing():
    outputs = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    loss = loss_of(outputs, torch.eye(2), 2.0)
    (slope,) = torch.autograd.grad(loss, outputs)
    assert loss == 0
    assert not slope.any()
