"""Label smoothing: torch's CrossEntropyLoss(label_smoothing)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from regexp.metrics.loss import cross_entropy
from regexp.regularizer.base import Batch
from tests.support import make_step, technique


@pytest.fixture
def labelled():
    generator = torch.Generator().manual_seed(0)
    outputs = 3 * torch.randn(50, 4, generator=generator, dtype=torch.float64)
    return outputs, torch.randint(4, (50,), generator=generator)


def smoothed(labels, smoothing):
    targets = F.one_hot(labels, 4).double()
    batch = Batch(torch.zeros(len(labels), 2), targets)
    return technique("label_smoothing", smoothing=smoothing).batch(make_step(), batch)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7, 1.0])
def test_loss_is_torchs(labelled, smoothing):
    outputs, labels = labelled
    batch = smoothed(labels, smoothing)
    ours = cross_entropy(outputs, batch.targets).mean()
    torchs = F.cross_entropy(outputs, labels, label_smoothing=smoothing)
    torch.testing.assert_close(ours, torchs, rtol=1e-15, atol=1e-15)
    plain = F.cross_entropy(outputs, labels)
    uniform = -outputs.log_softmax(-1).mean()
    mixture = (1 - smoothing) * plain + smoothing * uniform
    torch.testing.assert_close(ours, mixture, rtol=1e-15, atol=1e-15)


def test_targets_are_probabilities_with_the_true_class_on_top(labelled):
    _, labels = labelled
    targets = smoothed(labels, 0.1).targets
    torch.testing.assert_close(targets.sum(-1), torch.ones(50).double(), rtol=0, atol=1e-15)
    expected = torch.full((50,), 0.9 + 0.1 / 4).double()
    torch.testing.assert_close(targets.gather(1, labels[:, None])[:, 0], expected)
