"""Input noise: its moments; for a linear model it is ridge in expectation."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.base import Batch


def noisy(noise, make_step, x, index=0):
    batch = Batch(x, torch.zeros(len(x), 1))
    return noise.batch(make_step(index), batch)


def test_moments(technique, make_step):
    x = torch.full((500, 40), 3.0)
    noise = noisy(technique("input_noise", std=0.2), make_step, x).inputs - x
    count = noise.numel()
    assert abs(noise.mean()) < 4 * 0.2 / count**0.5
    assert abs(noise.std() - 0.2) < 4 * 0.2 / (2 * count) ** 0.5
    assert abs(torch.corrcoef(noise.T).triu(1)).max() < 5 / 500**0.5  # features are independent


def test_adds_a_ridge_to_the_loss_of_a_linear_model(technique, make_step, regression):
    x, y = regression
    w = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    adds = technique("input_noise", std=0.3)
    losses = torch.stack(
        [(noisy(adds, make_step, x, index).inputs @ w - y).square().mean() for index in range(400)]
    )
    expected = (x @ w - y).square().mean() + 0.3**2 * w.square().sum()
    assert abs(losses.mean() - expected) < 4 * losses.std() / len(losses) ** 0.5
    assert 0.3**2 * w.square().sum() > 20 * losses.std() / len(losses) ** 0.5  # it would show


def test_is_new_every_step_and_the_same_again(technique, make_step):
    x, adds = torch.zeros(5, 3), technique("input_noise")
    first, second = (noisy(adds, make_step, x, index).inputs for index in (0, 1))
    assert not torch.equal(first, second)
    assert torch.equal(first, noisy(adds, make_step, x, 0).inputs)


def test_zero_changes_no_bit_and_targets_stay(technique, make_step):
    batch = Batch(torch.randn(5, 3), torch.ones(5, 1))
    for zero in (0, 0.0, torch.tensor(0.0)):
        new = type(technique("input_noise"))(zero).batch(make_step(), batch)
        assert torch.equal(new.inputs, batch.inputs)
        assert new.targets is batch.targets


def test_refuses_a_negative_number(technique):
    with pytest.raises(Exception, match=r"regularizer\.input_noise\.std"):
        technique("input_noise", std=-0.1)
