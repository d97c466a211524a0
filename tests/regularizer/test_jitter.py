"""Jitter: moments of the normal distribution, independent in time and channel."""

from __future__ import annotations

import torch
from scipy import stats

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def jittered(series, index=0, std=0.2):
    batch = Batch(series, torch.zeros(len(series), 1))
    return technique("jitter", std=std).batch(make_step(index), batch).inputs


def test_noise_is_normal_and_independent():
    series = torch.full((600, 8, 3), 2.0)
    noise = jittered(series) - series
    assert stats.kstest(noise.flatten().numpy() / 0.2, "norm").pvalue > 1e-3
    assert abs(torch.corrcoef(noise.flatten(1).T).triu(1)).max() < 5 / 600**0.5


def test_is_new_every_step_and_the_same_again():
    series = torch.zeros(3, 4, 2)
    first, second = (jittered(series, index) for index in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, jittered(series, 0))
