"""Langevin noise: the closed form of the variance on a quadratic, step by step."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from langevin import Langevin
from torch import Tensor, nn

from regexp.training.own_loop import Regularized

RATE, STEPS = 0.1, 60


def trained(start: float, temperature: float, seed: int = 0) -> Tensor:
    """The weights after steps of gradient descent on the loss sum w^2 / 2."""
    layer = nn.Linear(100, 100, bias=False)
    nn.init.constant_(layer.weight, start)
    run = Regularized(
        layer, {"langevin": Langevin(temperature)}, partial(torch.optim.SGD, lr=RATE),
        example=torch.zeros(1, 100), classes=0, epochs=1, steps_per_epoch=STEPS, seed=seed,
    )  # fmt: skip
    inputs, targets = 5000**0.5 * torch.eye(100), torch.zeros(100, 100)
    for _ in range(STEPS):
        run.train_batch(inputs, targets)
    return layer.weight.detach()


def test_without_temperature_it_is_gradient_descent() -> None:
    expected = torch.full((100, 100), 2.0 * (1 - RATE) ** STEPS)
    torch.testing.assert_close(trained(2.0, 0.0), expected)


def test_weights_wander_as_wide_as_the_temperature_says() -> None:
    """w <- (1 - lr) w + sqrt(2 lr T) z: nearly T, as of exp(-w^2 / 2T), for a small lr."""
    weight, temperature = trained(0.0, 0.5), 0.5
    variance = 2 * RATE * temperature * sum((1 - RATE) ** (2 * step) for step in range(STEPS))
    assert weight.var().item() == pytest.approx(variance, rel=0.06)  # 10,000 draws: 4 deviations
    assert variance == pytest.approx(temperature, rel=0.06)
    assert abs(weight.mean().item()) < 4 * (variance / weight.numel()) ** 0.5


def test_noise_is_keyed_by_the_seed() -> None:
    first, again, other = (trained(0.0, 0.5, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_temperature_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="temperature: expected"):
        Langevin(-1.0)
