"""LookSAM: algorithm 1 on one vector, with its angles, and the gradients that it asks for."""

from __future__ import annotations

import pytest
import torch

from tests.gradients import assert_follows
from tests.support import technique


class Algorithm:
    """With g_v = g_s - norm(g_s) * cos(theta) * g / norm(g), as the paper writes it."""

    def __init__(self, rho, k, alpha):
        self.rho, self.k, self.alpha = rho, k, alpha

    def __call__(self, index, w, gradient):
        g = gradient(w)
        if index % self.k == 0:
            g_s = gradient(w + self.rho * g / g.norm())
            cosine = torch.nn.functional.cosine_similarity(g, g_s, dim=0)
            self.g_v = g_s - g_s.norm() * cosine * g / g.norm()
            return g_s
        return g + self.alpha * g.norm() / self.g_v.norm() * self.g_v


@pytest.mark.parametrize(("every", "alpha"), [(1, 0.7), (2, 0.2), (5, 0.7)])
def test_steps_of_the_algorithm(every, alpha):
    made = technique("look_sam", rho=0.3, every=every, alpha=alpha)
    asked = assert_follows(made, Algorithm(0.3, every, alpha))
    assert asked == [int(index % every == 0) for index in range(30)]


def test_a_radius_of_0_leaves_no_direction():
    """What is left of two equal gradients is rounding, and must not be blown up."""
    assert_follows(technique("look_sam", rho=0.0), lambda index, w, gradient: gradient(w))
