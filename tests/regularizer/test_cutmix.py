"""CutMix: label shares equal area shares; areas as the authors' rand_bbox has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

ROWS = 6


def mixed(cutmix, index=0, shape=(2, 10, 14)):
    """A batch whose images say in every pixel which row they are, and whose targets do too."""
    own = torch.arange(float(ROWS), dtype=torch.float64).view(-1, 1, 1, 1).expand(ROWS, *shape)
    batch = Batch(own, torch.eye(ROWS, dtype=torch.float64))
    return cutmix.batch(make_step(index), batch)


def test_targets_have_the_share_of_the_area():
    cutmix, several = technique("cutmix", p=1.0), 0
    for index in range(60):
        new = mixed(cutmix, index)
        areas = torch.stack([(new.inputs == row).double().mean((1, 2, 3)) for row in range(ROWS)])
        torch.testing.assert_close(new.targets, areas.T, rtol=0, atol=1e-15)
        several += bool(((new.targets > 0).sum(1) == 2).any())
    assert several > 40


def test_one_box_for_the_batch_from_the_partners_same_place():
    cutmix, images = technique("cutmix", p=1.0), torch.randn(ROWS, 2, 8, 8)
    for index in range(20):
        new = cutmix.batch(make_step(index), Batch(images, torch.eye(ROWS)))
        partner = torch.where(new.targets.diagonal() == 1, 2.0, 0.0).diag() + new.targets
        partner = (partner - torch.diag(new.targets.diagonal())).argmax(1)
        pasted = (new.inputs == images[partner]) & (partner != torch.arange(ROWS)).view(-1, 1, 1, 1)
        assert torch.equal(new.inputs, torch.where(pasted, images[partner], images))
        boxes = pasted[partner != torch.arange(ROWS)]
        assert (boxes == boxes[:1, :1]).all()
        assert torch.equal(partner.sort().values, torch.arange(ROWS))  # a permutation


def rand_bbox(rng, height, width, alpha):
    """The share that stays: https://github.com/clovaai/CutMix-PyTorch/blob/master/train.py."""
    ratio = np.sqrt(1 - rng.beta(alpha, alpha))
    tall, wide = int(height * ratio), int(width * ratio)
    y, x = rng.integers(height), rng.integers(width)
    y1, y2 = np.clip([y - tall // 2, y + tall // 2], 0, height)
    x1, x2 = np.clip([x - wide // 2, x + wide // 2], 0, width)
    return 1 - (y2 - y1) * (x2 - x1) / (height * width)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_shares_are_distributed_as_the_authors(alpha):
    """Their boxes have even sides (tall // 2 each way), which shows little on 64 pixels."""
    cutmix, ours = technique("cutmix", p=1.0, alpha=alpha), []
    for index in range(800):
        targets = mixed(cutmix, index, (1, 64, 64)).targets
        ours.append(targets.diagonal().min().item())  # of a row with another partner than itself
    rng = np.random.default_rng(0)
    theirs = [rand_bbox(rng, 64, 64, alpha) for _ in range(4000)]
    assert stats.ks_2samp(ours, theirs).statistic < 0.07  # 0.074 at the level 0.001
    assert abs(np.mean(ours) - np.mean(theirs)) < 0.04


def test_p_is_the_share_of_batches():
    """Less the batches whose box has no pixel; those are the same for every p."""
    some, always = technique("cutmix", p=0.3), technique("cutmix", p=1.0)
    changed, boxes = (
        sum(mixed(cutmix, i).targets.diagonal().min().item() < 1 for i in range(500))
        for cutmix in (some, always)
    )
    assert 450 < boxes <= 500
    assert abs(changed - 0.3 * boxes) < 4 * (0.3 * 0.7 * 500) ** 0.5
