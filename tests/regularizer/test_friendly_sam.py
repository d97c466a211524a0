"""Friendly-SAM: the authors' first step on one vector, and SAM where nothing is taken out."""

from __future__ import annotations

import pytest
from torch import Tensor

from tests.gradients import assert_follows
from tests.support import technique


class Authors:
    """`FriendlySAM.first_step` of github.com/nblt/F-SAM, and the gradient there."""

    def __init__(self, rho, sigma, lmbda):
        self.rho, self.sigma, self.lmbda = rho, sigma, lmbda
        self.momentum = None

    def __call__(self, index, w, gradient):
        grad = gradient(w)
        direction = grad.clone()
        if self.momentum is None:
            self.momentum = grad
        else:
            direction -= self.momentum * self.sigma
            self.momentum = self.momentum * self.lmbda + grad * (1 - self.lmbda)
        return gradient(w + direction * self.rho / (direction.norm() + 1e-12))


@pytest.mark.parametrize(("sigma", "decay"), [(1.0, 0.9), (0.5, 0.6)])
def test_steps_of_the_authors_code(sigma, decay):
    made = technique("friendly_sam", rho=0.3, sigma=sigma, decay=decay)
    assert_follows(made, Authors(0.3, sigma, decay))


def test_nothing_taken_out_is_sam():
    def sam(index, w, gradient):
        return gradient(w + 0.2 * gradient(w) / gradient(w).norm())

    assert_follows(technique("friendly_sam", rho=0.2, sigma=0.0), sam)
    assert_follows(technique("sam", rho=0.2), sam)


@pytest.mark.parametrize("decay", [0.0, 0.8])
def test_the_papers_direction_is_the_same_at_sigma_1(decay):
    """d = g - m with the m of after, which is decay * (g - m of before)."""
    before: list[Tensor] = []

    def paper(index, w, gradient):
        g = gradient(w)
        if not before:  # of the first step d is g by convention
            before.append(g)
            return gradient(w + 0.3 * g / g.norm())
        m = decay * before[0] + (1 - decay) * g
        d = g - m if decay else g - before[0]  # in the limit of decay -> 0
        before[0] = m
        return gradient(w + 0.3 * d / d.norm())

    assert_follows(technique("friendly_sam", rho=0.3, sigma=1.0, decay=decay), paper)
