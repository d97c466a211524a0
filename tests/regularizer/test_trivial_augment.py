"""TrivialAugment: every image is one that RandAugment's operations, held against Pillow, can give;
the laws of what is drawn by scipy.
"""

from __future__ import annotations

import torch
from scipy import stats

from regexp.regularizer.base import Batch
from regexp.regularizer.image_operations import OPERATIONS, transform
from tests.support import make_step, technique

ROWS, LEVELS = 6000, 31


def every_result(image: torch.Tensor) -> torch.Tensor:
    """What one image can become: [operations, signs, levels, ...]."""
    given = [
        transform(image[None], torch.tensor([index]), torch.tensor([sign]), level)
        for index in range(len(OPERATIONS))
        for sign in (-1, 1)
        for level in torch.linspace(0, 1, LEVELS, dtype=torch.float64)
    ]
    return torch.cat(given).unflatten(0, (len(OPERATIONS), 2, LEVELS))


def test_one_operation_an_image_of_a_level_of_its_own():
    image = torch.randn(2, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = Batch(image.expand(ROWS, 2, 5, 5), torch.zeros(ROWS, 1))
    new = technique("trivial_augment").batch(make_step(), batch).inputs.flatten(1)
    results = every_result(image)
    same = torch.cdist(new, results.flatten(0, 2).flatten(1)) < 1e-6
    assert bool(same.any(1).all())
    same = same.unflatten(1, (len(OPERATIONS), 2, LEVELS))
    shares = []
    for name in ("rotate", "shear_x", "translate_y", "brightness", "contrast", "sharpness"):
        counts = same[:, OPERATIONS.index(name), :, 1:].sum(0)  # at level 0 all are one
        shares.append(int(counts.sum()))
        assert stats.chisquare(counts.sum(0)).pvalue > 1e-3
        assert stats.chisquare(counts.sum(1)).pvalue > 1e-3
    expected = ROWS / len(OPERATIONS) * (LEVELS - 1) / LEVELS
    counted, awaited = [*shares, ROWS - sum(shares)], [*[expected] * 6, ROWS - 6 * expected]
    assert stats.chisquare(counted, awaited).pvalue > 1e-3


def test_the_largest_magnitude_scales_the_levels():
    """At half of it every second result is one of those at the whole of it."""
    image = torch.randn(1, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    results, halves = every_result(image), torch.linspace(0, 0.5, LEVELS, dtype=torch.float64)
    rotate = torch.full((LEVELS,), OPERATIONS.index("rotate"))
    rotated = transform(image.expand(LEVELS, 1, 5, 5), rotate, torch.ones(LEVELS), halves)
    torch.testing.assert_close(rotated[::2], results[OPERATIONS.index("rotate"), 1, :16])
    batch = Batch(image.expand(200, 1, 5, 5), torch.zeros(200, 1))
    new = technique("trivial_augment", magnitude=5.0).batch(make_step(), batch).inputs
    rotated_by_more = results[OPERATIONS.index("rotate"), :, 16:].flatten(0, 1).flatten(1)
    assert float(torch.cdist(new.flatten(1), rotated_by_more).min()) > 1e-6


def test_an_image_of_one_value_stays_finite():
    batch = Batch(torch.full((40, 1, 6, 6), 2.0), torch.zeros(40, 1))
    assert technique("trivial_augment").batch(make_step(), batch).inputs.isfinite().all()
