"""Shifts: numpy.pad and a crop, and scipy.ndimage.shift; every shift equally likely."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

NUMPY = {"zeros": "constant", "border": "edge", "reflection": "symmetric"}
SCIPY = {"zeros": "grid-constant", "border": "nearest", "reflection": "reflect"}


def shifted(image, rows, **changes):
    batch = Batch(image.expand(rows, *image.shape), torch.zeros(rows, 1))
    return technique("shift", **changes).batch(make_step(), batch).inputs


@pytest.mark.parametrize("padding", NUMPY)
def test_is_a_pad_and_a_random_crop(padding):
    image, (tall, wide), rows = torch.randn(2, 5, 8), (1, 2), 1500
    new = shifted(image, rows, fraction=0.24, padding=padding)
    width: Any = ((0, 0), (tall, tall), (wide, wide))
    mode: Any = NUMPY[padding]
    padded = np.pad(image.numpy(), width, mode)
    counts = []
    for down, right in itertools.product(range(-tall, tall + 1), range(-wide, wide + 1)):
        crop = padded[:, tall - down :, wide - right :][:, :5, :8]
        moved = ndimage.shift(image.numpy(), (0, down, right), order=0, mode=SCIPY[padding])
        assert np.array_equal(crop, moved)  # the two oracles agree
        counts.append(int((new == torch.from_numpy(crop)).all((1, 2, 3)).sum()))
    assert sum(counts) == rows  # nothing else occurs
    assert stats.chisquare(counts).pvalue > 1e-3


def test_zeros_come_in_where_roll_goes_round():
    image = torch.rand(1, 4, 4) + 1
    new = shifted(image, 300, fraction=0.25, padding="zeros")
    down_and_left = image.roll((1, -1), (1, 2))
    down_and_left[:, 0, :] = down_and_left[:, :, -1] = 0
    assert (new == down_and_left).all((1, 2, 3)).any()


@pytest.mark.parametrize("padding", NUMPY)
def test_the_widest_shifts(padding):
    image = torch.rand(1, 3, 3) + 1
    new = shifted(image, 1000, fraction=1.0, padding=padding)
    assert new.isfinite().all()
    assert (new == 0).all((1, 2, 3)).any() == (padding == "zeros")


@pytest.mark.parametrize("padding", NUMPY)
def test_less_than_half_a_pixel_changes_no_bit(padding):
    batch = Batch(torch.randn(5, 1, 4, 4), torch.ones(5, 1))
    new = technique("shift", fraction=0.1, padding=padding).batch(make_step(), batch)
    assert torch.equal(new.inputs, batch.inputs)
