"""Time mask: one stretch of zeros a series, its length and place uniform as in SpecAugment."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch


def masked(technique, make_step, series, fraction):
    batch = Batch(series, torch.zeros(len(series), 1))
    return technique("time_mask", fraction=fraction).batch(make_step(), batch).inputs


@pytest.mark.parametrize("fraction", [0.4, 1.0])
def test_length_and_place_are_uniform(technique, make_step, fraction):
    rows, steps, longest = 3000, 10, round(10 * fraction)
    series = torch.rand(rows, steps, 2) + 1
    new = masked(technique, make_step, series, fraction)
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


@pytest.mark.parametrize("zero", [0, 0.0, torch.tensor(0.0)])
def test_zero_changes_no_bit_and_targets_stay(technique, make_step, zero):
    batch = Batch(torch.randn(5, 6, 2), torch.ones(5, 1))
    new = type(technique("time_mask"))(zero).batch(make_step(), batch)
    assert torch.equal(new.inputs, batch.inputs)
    assert new.targets is batch.targets


@pytest.mark.parametrize("fraction", [-0.1, 1.1])
def test_refuses_a_number_out_of_range(technique, fraction):
    with pytest.raises(Exception, match=r"regularizer\.time_mask\.fraction"):
        technique("time_mask", fraction=fraction)
