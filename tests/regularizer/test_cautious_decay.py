"""Cautious weight decay: algorithm 1 of the paper, number by number."""

from __future__ import annotations

import pytest
import torch

from tests.support import make_step, technique


def test_is_the_papers_rule_number_by_number():
    signs = torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)
    w, u = (0.7 * part.reshape(3, 3) for part in torch.meshgrid(signs, signs, indexing="ij"))
    rate, d = 0.1, 0.3
    step = make_step(learning_rate=rate)
    ours = technique("cautious_decay", strength=d).constrain(step, {"w": w - rate * u}, {"w": w})
    for i in range(3):
        for j in range(3):
            x, update = float(w[i, j]), float(u[i, j])
            expected = x - rate * (update + (d * x if update * x >= 0 else 0.0))
            assert float(ours["w"][i, j]) == pytest.approx(expected, abs=1e-16)


def test_agreement_is_of_signs_however_small_the_numbers():
    w = torch.full((1, 2), 1e-30)
    new = w + torch.tensor([[1e-35, -1e-35]])  # their products underflow
    ours = technique("cautious_decay", strength=1.0).constrain(make_step(), {"w": new}, {"w": w})
    assert torch.equal(ours["w"] == new, torch.tensor([[True, False]]))


def test_is_plain_decay_where_there_is_no_gradient():
    start = w = torch.randn(4, 3, dtype=torch.float64)
    decay = technique("cautious_decay", strength=0.2)
    for _ in range(50):
        w = decay.constrain(make_step(learning_rate=0.1), {"w": w}, {"w": w})["w"]
    torch.testing.assert_close(w, start * (1 - 0.02) ** 50, rtol=1e-14, atol=0)


def descend(decay, target, curvature, rate):
    """Gradient descent on curvature / 2 * (w - target)^2 from 0."""
    w = torch.zeros_like(target)
    for _ in range(3000):
        new = w - rate * curvature * (w - target)
        w = decay.constrain(make_step(learning_rate=rate), {"w": new}, {"w": w})["w"]
    return w


def test_leaves_the_minimum_where_it_is_and_plain_decay_does_not():
    target = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64)
    curvature = torch.tensor([[1.0, 2.0, 0.5]], dtype=torch.float64)
    rate, d = 0.01, 0.5
    plain = descend(technique("weight_decay", strength=d), target, curvature, rate)
    shrunk = curvature / (curvature + d) * target
    torch.testing.assert_close(plain, shrunk, rtol=0, atol=1e-6)
    ours = descend(technique("cautious_decay", strength=d), target, curvature, rate)
    assert ((ours - target).abs() <= rate * d * target.abs()).all()
    assert ((ours - target).abs() < (shrunk - target).abs() / 20).all()
