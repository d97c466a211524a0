"""Time mask: one stretch of zeros a series, its length and place uniform as in SpecAugment."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def masked(series, fraction):
    batch = Batch(series, torch.zeros(len(series), 1))
    return technique("time_mask", fraction=fraction).batch(make_step(), batch).inputs


@pytest.mark.parametrize("fraction", [0.4, 1.0])
def test_length_and_place_are_uniform(fraction):
    rows, steps, longest = 3000, 10, round(10 * fraction)
    series = torch.rand(rows, steps, 2) + 1
    new = masked(series, fraction)
    gone = new == 0
    assert torch.equal(new[~gone], series[~gone])
    assert torch.equal(gone[:, :, 0], gone[:, :, 1])  # all channels alike
    gone = gone[:, :, 0]
    assert (gone[:, 1:] & ~gone[:, :-1]).sum(1).max() <= 1  # one stretch
    lengths = gone.sum(1)
    counts = torch.bincount(lengths, minlength=longest + 1)
    assert len(counts) == longest + 1
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    for length in (1, 2):
        first = gone[lengths == length].long().argmax(1)
        places = torch.bincount(first, minlength=steps - length + 1)
        assert len(places) == steps - length + 1
        assert stats.chisquare(places.numpy()).pvalue > 1e-3
