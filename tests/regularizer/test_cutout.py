"""Cutout: the masks are those of the authors' code, each centre equally likely."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def cut(images, side, index=0):
    batch = Batch(images, torch.zeros(len(images), 1))
    return technique("cutout", side=side).batch(make_step(index), batch).inputs


def authors_mask(height, width, y, x, length):
    """As https://github.com/uoguelph-mlrg/Cutout/blob/master/util/cutout.py has it."""
    mask = np.ones((height, width), np.float32)
    y1, y2 = np.clip([y - length // 2, y + length // 2], 0, height)
    x1, x2 = np.clip([x - length // 2, x + length // 2], 0, width)
    mask[y1:y2, x1:x2] = 0
    return torch.from_numpy(mask)


def test_masks_are_the_authors_each_as_likely_as_its_centres():
    images = torch.rand(4000, 2, 6, 8) + 1
    new = cut(images, 0.6)  # 4 pixels
    seen = torch.where(new == 0, 0.0, 1.0)
    assert torch.equal(new, images * seen)
    assert torch.equal(seen[:, 0], seen[:, 1])  # all channels alike
    counts: dict[bytes, list[int]] = {}
    for y, x in itertools.product(range(6), range(8)):
        mask = authors_mask(6, 8, y, x, 4)
        same = int((seen[:, 0] == mask).all((1, 2)).sum())
        _, centres = counts.setdefault(mask.numpy().tobytes(), [same, 0])
        counts[mask.numpy().tobytes()][1] = centres + 1
    found, centres = np.array(list(counts.values())).T
    assert found.sum() == 4000  # nothing else occurs
    assert stats.chisquare(found, 4000 * centres / 48).pvalue > 1e-3


@pytest.mark.parametrize("pixels", [1, 2, 3, 5])
def test_odd_sides_too_have_their_area_away_from_the_border(pixels):
    new = cut(torch.ones(500, 1, 10, 10), pixels / 10)
    areas = (new == 0).sum((1, 2, 3))
    assert areas.max() == pixels**2
    # Of a centre within reach of the border, on average by sides: the share that stands inside.
    inside = np.mean(
        [min(c - pixels // 2 + pixels, 10) - max(c - pixels // 2, 0) for c in range(10)]
    )
    assert abs(areas.double().mean() - inside**2) <= 4 * areas.double().std() / 500**0.5
