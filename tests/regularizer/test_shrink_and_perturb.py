"""Shrink and perturb: when it is due by hand, and the closed form of mean and variance after it."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.base import Course
from tests.support import BY_NAME, make_step, technique


def after_a_run(w: torch.Tensor, made, seed=0):
    """The weights after each of 100 steps without learning, from the initial `w`."""
    state = {"w": w, "bias": torch.ones(3)}
    memory = made.init(state, BY_NAME)
    path = []
    for index in range(100):
        state = made.constrain(make_step(index, memory=memory, seed=seed), state, state)
        path.append(state["w"])
    assert torch.equal(state["bias"], torch.ones(3))
    return path


@pytest.mark.parametrize(("times", "due"), [(0, []), (1, [50]), (2, [34, 67]), (3, [25, 50, 75])])
def test_equal_stages_and_the_last_is_left_for_training(times, due):
    made = technique("shrink_and_perturb", shrink=0.5, noise=0.0, times=times)
    path = [torch.ones(2), *after_a_run(torch.ones(2), made)]
    changed = [step for step in range(1, 101) if not torch.equal(path[step], path[step - 1])]
    assert changed == due
    assert torch.equal(path[-1], torch.full((2,), 0.5 ** len(due)))


def test_mean_and_variance_are_those_of_an_autoregression():
    """w_i = a w_(i-1) + b s z: after n times, mean a^n w_0 and variance (b s)^2 sum a^(2 i)."""
    shrink, noise, start = 0.6, 0.3, 2.0
    made = technique("shrink_and_perturb", shrink=shrink, noise=noise, times=3)
    last = after_a_run(torch.full((200, 200), start, dtype=torch.float64), made)[-1]
    variance = (noise * start) ** 2 * (1 + shrink**2 + shrink**4)
    assert abs(last.mean() - start * shrink**3) < 4 * (variance / 40_000) ** 0.5
    assert float(last.var()) == pytest.approx(variance, rel=4 * (2 / 40_000) ** 0.5)


def test_noise_follows_the_scale_of_the_layer_and_the_seed():
    made = technique("shrink_and_perturb", shrink=1.0, noise=1.0, times=1)
    w = torch.randn(50, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    added = after_a_run(w, made)[-1] - w
    torch.testing.assert_close(after_a_run(8 * w, made)[-1] - 8 * w, 8 * added)
    assert not torch.equal(after_a_run(w, made, seed=1)[-1] - w, added)


@pytest.mark.parametrize(("times", "told"), [(9, 0), (10, 1)])
def test_stages_below_an_epoch_are_told(times, told):
    course = Course([10 * epoch for epoch in range(1, 11)], list)
    assert len(list(technique("shrink_and_perturb", times=times).advise(course))) == told
