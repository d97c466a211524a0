"""Label noise: the rate, uniform among the other classes; its mean is label smoothing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

CLASSES, ROWS = 5, 20_000


def labels_after(p, index=0):
    """The classes before and after, of many rows."""
    labels = torch.arange(ROWS) % CLASSES
    batch = Batch(torch.zeros(ROWS, 1), F.one_hot(labels, CLASSES).double())
    targets = technique("label_noise", p=p).batch(make_step(index), batch).targets
    assert torch.equal(targets.sum(-1), torch.ones(ROWS).double())
    assert torch.equal(targets.max(-1).values, torch.ones(ROWS).double())  # one-hot still
    return labels, targets.argmax(-1)


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_rate_and_classes(p):
    before, after = labels_after(p)
    flipped = after != before
    assert abs(flipped.double().mean() - p) < 4 * (p * (1 - p) / ROWS) ** 0.5
    shift = (after - before)[flipped] % CLASSES
    counts = torch.bincount(shift, minlength=CLASSES)[1:].double()  # 0 never
    expected = flipped.sum() / (CLASSES - 1)
    assert ((counts - expected).square() / expected).sum() < 16.3  # chi2, 3 degrees, 0.001


def test_one_gives_every_row_another_class():
    before, after = labels_after(1.0)
    assert (after != before).all()


def test_draws_are_new_each_step():
    assert not torch.equal(*(labels_after(0.5, index)[1] for index in (0, 1)))


def test_mean_target_is_label_smoothing():
    p, steps = 0.4, 4000
    noise = technique("label_noise", p=p)
    smoothing = technique("label_smoothing", smoothing=p * CLASSES / (CLASSES - 1))
    batch = Batch(torch.zeros(8, 1), F.one_hot(torch.arange(8) % CLASSES, CLASSES).double())
    mean = torch.stack([noise.batch(make_step(i), batch).targets for i in range(steps)]).mean(0)
    expected = smoothing.batch(make_step(), batch).targets
    torch.testing.assert_close(mean, expected, rtol=0, atol=5 * (0.25 / steps) ** 0.5)
    assert torch.equal(noise.batch(make_step(), batch).inputs, batch.inputs)


def test_soft_targets_are_rolled_whole():
    soft = torch.rand(30, CLASSES, generator=torch.Generator().manual_seed(0)).softmax(-1)
    new = technique("label_noise", p=1.0).batch(make_step(), Batch(soft, soft)).targets
    torch.testing.assert_close(new.sort(-1).values, soft.sort(-1).values, rtol=0, atol=0)
    assert (new != soft).any(-1).all()
