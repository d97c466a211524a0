"""Random erasing: areas and sides as the paper's algorithm 1, run in numpy, has them."""

from __future__ import annotations

import numpy as np
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def erased(images, index=0, **changes):
    batch = Batch(images, torch.zeros(len(images), 1))
    return technique("random_erasing", **changes).batch(make_step(index), batch).inputs


def rectangles(new):
    """Height and width of the zeros of every image that has some; they fill their rectangle."""
    gone = (new == 0).all(1)
    gone = gone[gone.any((1, 2))]
    tall, wide = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(gone.sum((1, 2)), tall * wide)
    for lines in (gone.any(2), gone.any(1)):  # without gaps
        assert (lines[:, 1:] != lines[:, :-1]).sum(1).max() <= 2
    return tall.numpy(), wide.numpy()


def algorithm_1(rng, side, smallest, largest, ratio):
    while True:
        area = side * side * rng.uniform(smallest, largest)
        aspect = np.exp(rng.uniform(np.log(ratio), -np.log(ratio)))
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if tall <= side and wide <= side:
            return tall, wide


def test_rectangles_are_those_of_the_algorithm():
    images = torch.rand(2500, 2, 32, 32) + 1
    new = erased(images, p=1.0, fill="zeros")
    tall, wide = rectangles(new)
    assert len(tall) == 2500  # ten tries suffice
    assert torch.equal(new[new != 0], images[new != 0])
    rng = np.random.default_rng(0)
    theirs = np.array([algorithm_1(rng, 32, 0.02, 0.4, 0.3) for _ in range(2500)]).T
    assert stats.ks_2samp(tall * wide, theirs[0] * theirs[1]).pvalue > 1e-3
    assert stats.ks_2samp(tall / wide, theirs[0] / theirs[1]).pvalue > 1e-3


def test_places_are_uniform():
    """One rectangle of 4 x 4 on 8 x 8 pixels has 25 places."""
    one = {"smallest": 0.25, "largest": 0.25, "ratio": 1.0, "fill": "zeros"}
    new = erased(torch.ones(5000, 1, 8, 8), p=1.0, **one)
    gone = new[:, 0] == 0
    first = gone.any(2).long().argmax(1) * 5 + gone.any(1).long().argmax(1)
    assert stats.chisquare(torch.bincount(first, minlength=25).numpy()).pvalue > 1e-3


def test_rate_and_noise():
    images = torch.full((2000, 3, 8, 8), 9.0)
    new = erased(images, p=0.3)
    changed = (new != images).any((1, 2, 3)).float().mean()
    assert abs(changed - 0.3) < 4 * (0.3 * 0.7 / 2000) ** 0.5
    noise = new[new != 9]
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-3


def test_an_image_in_which_nothing_fits_stays():
    """A rectangle of all the area fits as a square alone."""
    images = torch.randn(50, 1, 16, 16)
    whole = {"p": 1.0, "smallest": 1.0, "largest": 1.0, "fill": "zeros"}
    new = erased(images, ratio=1.0, **whole)
    assert not new.any()
    new = erased(images, ratio=0.01, **whole)
    gone = (new == 0).all((1, 2, 3))
    assert 0 < gone.float().mean() < 0.5  # sides are rounded, so few of ten tries fit
    assert torch.equal(new[~gone], images[~gone])
