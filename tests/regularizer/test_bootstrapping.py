"""Bootstrapping: torch's cross-entropy against the mixed targets; soft mode by the entropy."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Categorical

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch, PenaltyView
from tests.support import make_step, technique


@pytest.fixture
def labelled():
    generator = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    return outputs.requires_grad_(), torch.randint(4, (50,), generator=generator)


def total(step, outputs, labels, **changes):
    """The plain loss with the penalty."""
    targets = F.one_hot(labels, outputs.shape[-1]).to(outputs.dtype)
    view = PenaltyView({}, outputs, Batch(outputs, targets), lambda *_: outputs, cross_entropy, {})
    penalty = technique("bootstrapping", **changes).penalty(step, view)
    return F.cross_entropy(outputs, labels) + penalty


@pytest.mark.parametrize("beta", [0.0, 0.8, 0.95])
@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_value_is_the_cross_entropy_of_the_mixed_targets(labelled, mode, beta):
    outputs, labels = labelled
    q = outputs.softmax(-1) if mode == "soft" else F.one_hot(outputs.argmax(-1), 4).double()
    mixed = beta * F.one_hot(labels, 4).double() + (1 - beta) * q
    expected = F.cross_entropy(outputs, mixed.detach())
    ours = total(make_step(), outputs, labels, beta=beta, mode=mode)
    torch.testing.assert_close(ours, expected, rtol=1e-13, atol=0)
    if mode == "hard":  # the target is a constant
        slopes = [torch.autograd.grad(x, outputs, retain_graph=True)[0] for x in (ours, expected)]
        torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-15)


def test_soft_mode_is_a_minimum_of_entropy(labelled):
    """Its slope is not that of the scaled loss, as it would be were q held constant."""
    outputs, labels = labelled
    ours = total(make_step(), outputs, labels, beta=0.7, mode="soft")
    entropy = Categorical(logits=outputs).entropy().mean()
    scaled = 0.7 * F.cross_entropy(outputs, labels)
    expected = scaled + 0.3 * entropy
    torch.testing.assert_close(ours, expected, rtol=1e-13, atol=0)
    slopes = [
        torch.autograd.grad(x, outputs, retain_graph=True)[0] for x in (ours, expected, scaled)
    ]
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-12, atol=1e-15)
    assert (slopes[0] - slopes[2]).abs().max() > 1e-4
