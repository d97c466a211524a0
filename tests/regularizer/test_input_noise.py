"""Input noise: its moments; for a linear model it is ridge in expectation."""

from __future__ import annotations

import torch

from regexp.regularizer.base import Batch
from tests.support import make_step, technique


def noisy(noise, x, index=0):
    batch = Batch(x, torch.zeros(len(x), 1))
    return noise.batch(make_step(index), batch)


def test_moments():
    x = torch.full((500, 40), 3.0)
    noise = noisy(technique("input_noise", std=0.2), x).inputs - x
    count = noise.numel()
    assert abs(noise.mean()) < 4 * 0.2 / count**0.5
    assert abs(noise.std() - 0.2) < 4 * 0.2 / (2 * count) ** 0.5
    assert abs(torch.corrcoef(noise.T).triu(1)).max() < 5 / 500**0.5  # features are independent


def test_adds_a_ridge_to_the_loss_of_a_linear_model(regression):
    x, y = regression
    w = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    adds = technique("input_noise", std=0.3)
    losses = torch.stack(
        [(noisy(adds, x, index).inputs @ w - y).square().mean() for index in range(400)]
    )
    expected = (x @ w - y).square().mean() + 0.3**2 * w.square().sum()
    assert abs(losses.mean() - expected) < 4 * losses.std() / len(losses) ** 0.5
    assert 0.3**2 * w.square().sum() > 20 * losses.std() / len(losses) ** 0.5  # it would show


def test_is_new_every_step_and_the_same_again():
    x, adds = torch.zeros(5, 3), technique("input_noise")
    first, second = (noisy(adds, x, index).inputs for index in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, noisy(adds, x, 0).inputs)
