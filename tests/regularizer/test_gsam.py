"""GSAM: the authors' decomposition on one vector, and SAM where nothing is taken off."""

from __future__ import annotations

import pytest
import torch

from regexp.regularizer.flat_minima import orthogonal_part
from tests.gradients import assert_follows, joined, split
from tests.support import technique


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.5])
def test_steps_of_the_authors_code(alpha):
    """`gradient_decompose` of github.com/juntang-zhuang/GSAM."""

    def rule(index, w, gradient):
        old_g = gradient(w)
        grad = gradient(w + 0.3 * old_g / old_g.norm())
        cosine = (old_g * grad).sum() / (grad.norm() * old_g.norm() + 1e-12)
        vertical = old_g - cosine * old_g.norm() * grad / (grad.norm() + 1e-12)
        return grad - alpha * vertical

    assert_follows(technique("gsam", rho=0.3, alpha=alpha), rule)


def test_the_gap_closes_and_the_worst_loss_stays():
    """To first order the direction that is taken off is level at the worst point."""
    generator = torch.Generator().manual_seed(0)
    g, s = torch.randn(2, 7, generator=generator, dtype=torch.float64)
    apart = joined(orthogonal_part(split(g), split(s)))
    assert float(apart @ s) == pytest.approx(0, abs=1e-14)
    assert float(apart @ g) > 0
    nothing = orthogonal_part(split(g), split(torch.zeros(7).double()))
    assert torch.equal(joined(nothing), g)
