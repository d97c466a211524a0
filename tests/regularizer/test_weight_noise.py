"""Weight noise: the gradient of the smoothed loss in closed form, and each step's by hand."""

from __future__ import annotations

import torch

from regexp.random import Rng
from regexp.regularizer.base import GradientView
from tests.support import make_step, technique


def test_gradient_is_taken_at_the_weights_plus_the_steps_draws():
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    point = {"w": torch.randn(3, 4, generator=generator, dtype=torch.float64)}
    noise = technique("weight_noise", std=0.3)
    for index in range(3):
        ours = noise.gradient(
            make_step(index), GradientView(point, point, lambda p: {"w": p["w"] @ a})
        )
        z = Rng(0, "test", index).normal((3, 4)).double()
        torch.testing.assert_close(ours["w"], (point["w"] + 0.3 * z) @ a, rtol=0, atol=1e-14)


def test_expectation_is_the_gradient_of_the_smoothed_loss():
    """The mean of (w + s z)^4 is w^4 + 6 s^2 w^2 + 3 s^4: slope 4 w^3 + 12 s^2 w."""
    s, count = 0.5, 40000
    w = torch.linspace(-2, 2, 5, dtype=torch.float64)
    point = {"w": w.repeat(count, 1)}
    noise = technique("weight_noise", std=s)
    slopes = noise.gradient(
        make_step(), GradientView(point, point, lambda p: {"w": 4 * p["w"] ** 3})
    )["w"]
    error = 5 * slopes.std(0) / count**0.5
    expected = 4 * w**3 + 12 * s**2 * w
    assert ((slopes.mean(0) - expected).abs() < error).all()
    assert ((4 * w**3 - expected).abs() > error)[w != 0].all()  # the plain gradient is another


def test_biases_and_normalization_have_no_noise(network):
    def gradient(parameters):
        for name, value in parameters.items():
            assert torch.equal(value, network[name]) == (value.ndim < 2), name
        return parameters

    ours = technique("weight_noise").gradient(make_step(), GradientView(network, network, gradient))
    assert ours.keys() == network.keys()
