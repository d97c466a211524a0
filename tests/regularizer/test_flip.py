"""Flips: against numpy.flip; they are involutions, each image has its own coin."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from regexp.regularizer.base import Batch
from tests.support import make_step, technique

NUMPY_AXIS: dict[str, int | tuple[int, int]] = {"horizontal": -1, "vertical": -2, "both": (-1, -2)}


def flipped(images, index=0, **changes):
    batch = Batch(images, torch.zeros(len(images), 1))
    return technique("flip", **changes).batch(make_step(index), batch).inputs


@pytest.mark.parametrize("axis", NUMPY_AXIS)
def test_is_numpys_and_an_involution(axis):
    images = torch.randn(5, 3, 4, 6)
    once = flipped(images, p=1.0, axis=axis)
    assert np.array_equal(once.numpy(), np.flip(images.numpy(), NUMPY_AXIS[axis]))
    assert torch.equal(flipped(once, 1, p=1.0, axis=axis), images)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_each_image_has_its_own_coins(p):
    one = torch.arange(6.0).view(1, 2, 3)
    rows = 2000
    new = flipped(one.expand(rows, 1, 2, 3), p=p, axis="both")
    kinds = {"": one, "h": one.flip(-1), "v": one.flip(-2), "hv": one.flip(-1, -2)}
    expected = {"": (1 - p) ** 2, "h": p * (1 - p), "v": p * (1 - p), "hv": p * p}
    for kind, image in kinds.items():
        share = (new == image).all((1, 2, 3)).float().mean()
        assert abs(share - expected[kind]) < 4 * (expected[kind] / rows) ** 0.5
