"""Scaling: one normal factor a channel, the same at all times."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch


def test_factors_are_normal_and_constant_in_time(technique, make_step):
    series = torch.rand(500, 7, 3, dtype=torch.float64) + 1
    batch = Batch(series, torch.zeros(500, 1))
    factors = technique("scaling", std=0.2).batch(make_step(), batch).inputs / series
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), rtol=1e-12, atol=0)
    factors = factors[:, 0]
    assert stats.kstest((factors.flatten().numpy() - 1) / 0.2, "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(factors.T).triu(1)).max() < 4 / 500**0.5  # channels apart


@pytest.mark.parametrize("zero", [0, 0.0, torch.tensor(0.0)])
def test_zero_changes_no_bit_and_targets_stay(technique, make_step, zero):
    batch = Batch(torch.randn(5, 6, 2), torch.ones(5, 1))
    new = type(technique("scaling"))(zero).batch(make_step(), batch)
    assert torch.equal(new.inputs, batch.inputs)
    assert new.targets is batch.targets


def test_refuses_a_negative_number(technique):
    with pytest.raises(Exception, match=r"regularizer\.scaling\.std"):
        technique("scaling", std=-0.1)
