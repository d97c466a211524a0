"""Shrink and perturb: the closed form of mean and variance after n epochs without learning."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from shrink_perturb import ShrinkPerturb
from torch import Tensor, nn

from regexp.training.own_loop import Regularized

EPOCHS, STEPS = 3, 4


def trained(start: float, shrink: float, noise: float, seed: int = 0) -> nn.Linear:
    """A layer after three epochs of four steps each, all with learning rate 0."""
    layer = nn.Linear(100, 100)
    nn.init.constant_(layer.weight, start)
    nn.init.constant_(layer.bias, start)
    run = Regularized(
        layer, {"shrink_perturb": ShrinkPerturb(shrink, noise)}, partial(torch.optim.SGD, lr=0.0),
        example=torch.zeros(1, 100), classes=100, epochs=EPOCHS, steps_per_epoch=STEPS, seed=seed,
    )  # fmt: skip
    inputs, targets = torch.randn(8, 100), torch.arange(8)
    for _ in range(EPOCHS):
        for _ in range(STEPS):
            run.train_batch(inputs, targets)
        run.end_epoch(inputs, targets)
    return layer


def test_weights_shrink_once_an_epoch_and_biases_do_not() -> None:
    layer = trained(start=2.0, shrink=0.9, noise=0.0)
    torch.testing.assert_close(layer.weight, torch.full((100, 100), 2.0 * 0.9**EPOCHS))
    assert torch.equal(layer.bias, torch.full((100,), 2.0))


def test_noise_adds_up_as_a_geometric_series() -> None:
    weight: Tensor = trained(start=0.0, shrink=0.9, noise=0.5).weight.detach()
    variance = 0.5**2 * (1 + 0.9**2 + 0.9**4)
    assert weight.var().item() == pytest.approx(variance, rel=0.06)  # 10,000 draws: 4 deviations
    assert abs(weight.mean().item()) < 4 * (variance / weight.numel()) ** 0.5


def test_noise_is_keyed_by_the_seed() -> None:
    first, again, other = (trained(0.0, 0.9, 0.5, seed).weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(("shrink", "noise"), [(1.1, 0.0), (-0.1, 0.0), (0.9, -1.0)])
def test_numbers_out_of_range_are_refused(shrink: float, noise: float) -> None:
    with pytest.raises(ValueError, match=r"(shrink|noise): expected"):
        ShrinkPerturb(shrink, noise)
