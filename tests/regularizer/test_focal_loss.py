"""Focal loss: the paper's formula written out, cross-entropy at gamma 0."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique


def view_of(outputs, labels):
    targets = F.one_hot(labels, outputs.shape[-1]).to(outputs.dtype)
    unused = lambda *arguments: pytest.fail("it needs no other pass")
    return PenaltyView(
        {}, outputs, Batch(torch.zeros(len(labels), 2), targets), unused, cross_entropy, {}
    )


@pytest.fixture
def labelled():
    generator = torch.Generator().manual_seed(0)
    outputs = 3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    return outputs.requires_grad_(), torch.randint(4, (50,), generator=generator)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.0, 5.0])
def test_with_the_plain_loss_it_is_the_papers(labelled, gamma):
    outputs, labels = labelled
    penalty = technique("focal_loss", gamma=gamma).penalty(make_step(), view_of(outputs, labels))
    ours = F.cross_entropy(outputs, labels) + penalty
    p = outputs.softmax(-1).gather(1, labels[:, None])[:, 0]
    papers = (-((1 - p) ** gamma) * p.log()).mean()
    torch.testing.assert_close(ours, papers, rtol=1e-13, atol=0)
    slopes = [torch.autograd.grad(loss, outputs, retain_graph=True)[0] for loss in (ours, papers)]
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_rows_that_are_certain_have_a_slope_of_zero(gamma):
    """The usual mistake: 0 ** (gamma - 1) is infinite there."""
    outputs = torch.tensor([[200.0, 0.0], [0.0, 200.0]], requires_grad=True)
    labels = torch.tensor([0, 1])
    focal = technique("focal_loss", gamma=gamma)
    penalty = focal.penalty(make_step(), view_of(outputs, labels))
    (slope,) = torch.autograd.grad(penalty, outputs)
    assert penalty == 0
    assert torch.equal(slope, torch.zeros_like(slope))
