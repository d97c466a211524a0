"""Sharpness: quadratics whose eigenvalues are known, and torch's whole Hessian of a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from regexp.metrics.sharpness import RADIUS, largest_eigenvalue, sharpness


def symmetric(eigenvalues: list[float]) -> Tensor:
    size = len(eigenvalues)
    draws = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(size, size, generator=draws).double()).Q
    return basis @ torch.diag(torch.tensor(eigenvalues).double()) @ basis.T


@pytest.mark.parametrize(
    ("eigenvalues", "largest"),
    [
        ([5.0, 2.0, 1.0, -1.0], 5.0),
        ([2.0, 1.0, -5.0], 2.0),  # the one of the largest size is negative
        ([-1.0, -3.0], -1.0),
        ([4.0, 4.0, 1.0], 4.0),
        ([0.0, 0.0], 0.0),
    ],
)
def test_the_largest_eigenvalue_not_that_of_the_largest_size(eigenvalues, largest):
    matrix = symmetric(eigenvalues)
    start = torch.ones(len(eigenvalues)).double()
    value, residual = largest_eigenvalue(lambda v: matrix @ v, start)
    assert value == pytest.approx(largest, abs=1e-12)
    assert residual < 1e-6


def test_the_residual_bounds_the_error_of_an_iteration_that_has_not_converged():
    matrix = symmetric([1.0, 0.99, 0.5])
    value, residual = largest_eigenvalue(lambda v: matrix @ v, torch.ones(3).double(), 10)
    distance = min(abs(value - one) for one in (1.0, 0.99, 0.5)) / value
    assert 1e-6 < distance <= residual < 0.1


def test_of_a_quadratic_all_is_known():
    matrix = symmetric([3.0, 1.0, 0.2])
    point = torch.tensor([1.0, -2.0, 0.5]).double()
    found = sharpness(lambda w: w[0] @ matrix @ w[0] / 2, [point], torch.ones(3).double())
    slope = matrix @ point
    unit = slope / slope.norm()
    gap = RADIUS * slope.norm() + RADIUS**2 / 2 * unit @ matrix @ unit
    assert found["eigenvalue"] == pytest.approx(3, rel=1e-12)
    assert found["sam_gap"] == pytest.approx(float(gap), rel=1e-10)


def test_a_linear_loss_has_no_curvature_and_a_constant_one_no_gap():
    start = torch.ones(2).double()
    found = sharpness(lambda w: w[0].sum(), [start], start)
    assert found["eigenvalue"] == 0
    assert found["sam_gap"] == pytest.approx(RADIUS * 2**0.5)
    flat = sharpness(lambda w: 0 * w[0].square().sum(), [start], start)
    assert flat == {"eigenvalue": 0, "residual": 0, "sam_gap": 0}
