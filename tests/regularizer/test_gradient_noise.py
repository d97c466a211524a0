"""Gradient noise: the paper's schedule of its variance, and the moments."""

from __future__ import annotations

import torch

from regexp.regularizer.base import GradientView
from tests.support import make_step, not_called, technique


def noise(gradients, index=0, **numbers):
    changed = technique("gradient_noise", **numbers).gradient(
        make_step(index), GradientView(gradients, gradients, not_called)
    )
    return {name: changed[name] - g for name, g in gradients.items()}


def test_variance_follows_the_schedule():
    """The draws of a step are the same whatever their size, so their ratio is exact."""
    zero = {"w": torch.zeros(50, 3, dtype=torch.float64)}
    for index in (0, 1, 9, 99):
        plain = noise(zero, index, eta=1, decay=0)["w"]
        ours = noise(zero, index, eta=0.3)["w"]
        expected = (0.3 / (1 + index) ** 0.55) ** 0.5
        torch.testing.assert_close(
            ours / plain, torch.full_like(plain, expected), rtol=1e-14, atol=0
        )


def test_moments_are_those_of_the_normal_distribution():
    draws = noise({"w": torch.full((400, 50), 3.0).double()}, eta=0.25)["w"]
    count = draws.numel()
    assert abs(draws.mean()) < 4 * 0.5 / count**0.5
    assert abs(draws.std() - 0.5) < 4 * 0.5 / (2 * count) ** 0.5
    fourth = (draws / 0.5).pow(4).mean()
    assert abs(fourth - 3) < 4 * (96 / count) ** 0.5


def test_is_new_for_every_parameter_and_step_and_the_same_again():
    gradients = {name: torch.zeros(20, dtype=torch.float64) for name in ("a", "b")}
    first, second = (noise(gradients, index) for index in (0, 1))
    again = noise(gradients, 0)
    both = torch.stack([first["a"], first["b"], second["a"], second["b"]])
    assert torch.corrcoef(both).triu(1).abs().max() < 0.8
    assert len(both.unique()) == both.numel()
    assert all(torch.equal(first[name], again[name]) for name in first)
