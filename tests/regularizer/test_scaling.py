"""Scaling: one normal factor a channel, the same at all times."""

from __future__ import annotations

import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def test_factors_are_normal_and_constant_in_time():
    series = torch.rand(500, 7, 3, dtype=torch.float64) + 1
    batch = Batch(series, torch.zeros(500, 1))
    factors = technique("scaling", std=0.2).batch(make_step(), batch).inputs / series
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), rtol=1e-12, atol=0)
    factors = factors[:, 0]
    assert stats.kstest((factors.flatten().numpy() - 1) / 0.2, "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(factors.T).triu(1)).max() < 4 / 500**0.5  # channels apart
