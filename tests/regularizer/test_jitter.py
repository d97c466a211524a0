"""Jitter: moments of the normal distribution, independent in time and channel."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from regexp.regularizer.base import Batch


def jittered(technique, make_step, series, index=0, std=0.2):
    batch = Batch(series, torch.zeros(len(series), 1))
    return technique("jitter", std=std).batch(make_step(index), batch).inputs


def test_noise_is_normal_and_independent(technique, make_step):
    series = torch.full((600, 8, 3), 2.0)
    noise = jittered(technique, make_step, series) - series
    assert stats.kstest(noise.flatten().numpy() / 0.2, "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(noise.flatten(1).T).triu(1)).max() < 5 / 600**0.5


def test_is_new_every_step_and_the_same_again(technique, make_step):
    series = torch.zeros(3, 4, 2)
    first, second = (jittered(technique, make_step, series, index) for index in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, jittered(technique, make_step, series, 0))


@pytest.mark.parametrize("zero", [0, 0.0, torch.tensor(0.0)])
def test_zero_changes_no_bit_and_targets_stay(technique, make_step, zero):
    batch = Batch(torch.randn(5, 6, 2), torch.ones(5, 1))
    new = type(technique("jitter"))(zero).batch(make_step(), batch)
    assert torch.equal(new.inputs, batch.inputs)
    assert new.targets is batch.targets


def test_refuses_a_negative_number(technique):
    with pytest.raises(Exception, match=r"regularizer\.jitter\.std"):
        technique("jitter", std=-0.1)
