"""Orthogonality penalty: zero at an orthogonal matrix, gradient 4 (W W^T - I) W elsewhere."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support import make_step, make_view, technique


def matrix(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def penalty(w, strength=0.3):
    return technique("orthogonal", strength=strength).penalty(make_step(), make_view({"w": w}))


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3), (4, 3, 2, 2)])
def test_is_zero_where_torch_makes_the_matrix_orthogonal(shape):
    """torch.nn.init.orthogonal_ makes rows orthonormal, or columns where there are more rows."""
    generator = torch.Generator().manual_seed(0)
    w = nn.init.orthogonal_(torch.empty(shape, dtype=torch.float64), generator=generator)
    assert penalty(w) < 1e-28
    assert penalty(1.1 * w) > 0.01


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3)])
def test_value_is_that_of_the_singular_values(shape):
    """norm_F(W W^T - I)^2 is the sum of (sigma^2 - 1)^2 on the smaller side."""
    w = matrix(*shape)
    expected = 0.3 * (torch.linalg.svdvals(w).square() - 1).square().sum()
    value = penalty(w)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3)])
def test_gradient_is_the_closed_form_on_either_side(shape):
    w = matrix(*shape).requires_grad_()
    (slope,) = torch.autograd.grad(penalty(w), w)
    w = w.detach()
    expected = 0.3 * 4 * (w @ w.T - torch.eye(len(w), dtype=w.dtype)) @ w
    torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-12)


def test_adds_up_weights_without_biases_and_normalization(network):
    value = technique("orthogonal", strength=1.0).penalty(make_step(), make_view(network))
    singles = [penalty(network[name], strength=1.0) for name in ("0.weight", "1.weight")]
    torch.testing.assert_close(value, sum(singles), rtol=1e-15, atol=0)


def test_descent_ends_at_orthonormal_rows():
    w = 0.3 * matrix(3, 5)
    for _ in range(400):
        w.requires_grad_()
        (slope,) = torch.autograd.grad(penalty(w, 1.0), w)
        w = (w - 0.05 * slope).detach()
    torch.testing.assert_close(w @ w.T, torch.eye(3, dtype=w.dtype), rtol=0, atol=1e-10)
