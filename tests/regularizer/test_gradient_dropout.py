"""Gradient dropout: the expectation of every step, which on a quadratic is gradient descent."""

from __future__ import annotations

import torch

from regexp.regularizer.base import GradientView
from tests.support import make_step, not_called, technique


def dropped(gradients, index=0, p=0.25):
    return technique("gradient_dropout", p=p).gradient(
        make_step(index), GradientView(gradients, gradients, not_called)
    )


def test_elements_are_dropped_or_scaled_and_the_rate_is_p():
    g = torch.randn(300, 100, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ratio = dropped({"w": g})["w"] / g
    kept = ratio != 0
    torch.testing.assert_close(
        ratio[kept], torch.full((int(kept.sum()),), 1 / 0.75).double(), rtol=1e-7, atol=0
    )
    deviation = (0.25 * 0.75 / g.numel()) ** 0.5
    assert abs((~kept).double().mean() - 0.25) < 4 * deviation
    assert abs((~kept).double().mean(0) - 0.25).max() < 5 * deviation * 10  # single elements


def test_gradient_descent_on_a_quadratic_is_its_expectation():
    """Steps are linear in w there, and masks independent: E[w_t] is gradient descent's w_t."""
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    a, start = root @ root.T / 4, torch.randn(4, generator=generator, dtype=torch.float64)
    runs, w, plain = 20_000, start.expand(20_000, 4), start
    for index in range(10):
        plain = plain - 0.2 * a @ plain
        w = w - 0.2 * dropped({"w": w @ a}, index, 0.5)["w"]
    assert ((w.mean(0) - plain).abs() < 4 * w.std(0) / runs**0.5).all()
    assert ((start - plain).abs() > 40 * w.std(0) / runs**0.5).all()  # it would show


def test_is_new_for_every_parameter_and_step_and_the_same_again():
    ones = {name: torch.ones(200) for name in ("a", "b")}
    first, second = (dropped(ones, index) for index in (0, 1))
    again = dropped(ones, 0)
    assert not torch.equal(first["a"], first["b"])
    assert not torch.equal(first["a"], second["a"])
    assert all(torch.equal(first[name], again[name]) for name in first)
