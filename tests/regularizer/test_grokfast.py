"""Grokfast: the authors' gradient filter, and its gain at both ends of the spectrum."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.base import GradientView, Memory
from tests.gradients import assert_follows
from tests.support import make_step, not_called, technique


@pytest.mark.parametrize(("strength", "decay"), [(2.0, 0.98), (0.5, 0.0)])
def test_steps_of_the_authors_code(strength, decay):
    """`gradfilter_ema` of github.com/ironjr/grokfast."""
    grads: list[torch.Tensor] = []

    def rule(index, w, gradient):
        g = gradient(w)
        if not grads:
            grads.append(g)
        grads[0] = grads[0] * decay + g * (1 - decay)
        return g + grads[0] * strength

    assert_follows(technique("grokfast", strength=strength, decay=decay), rule)


@pytest.mark.parametrize(("sign", "gain"), [(1.0, 1 + 2.0), (-1.0, 1 + 2.0 * 0.1 / 1.9)])
def test_gain_of_slow_and_fast_gradients(sign, gain):
    """1 + strength for a constant one, 1 + strength * (1 - d) / (1 + d) for one that alternates."""
    made = technique("grokfast", strength=2.0, decay=0.9)
    memory: Memory = {}
    for index in range(400):
        g = {"w": torch.tensor([sign**index], dtype=torch.float64)}
        faster, memory = made.gradient(make_step(memory=memory), GradientView(g, g, not_called))
    assert float(faster["w"] / g["w"]) == pytest.approx(gain, rel=1e-12)
