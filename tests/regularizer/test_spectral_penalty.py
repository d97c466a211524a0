"""Spectral penalty: numpy's singular values; the gradient is 2 sigma u v^T."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support import make_step, make_view, technique


def matrix(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def penalty(w, strength=0.3):
    spectral = technique("spectral_penalty", strength=strength)
    return spectral.penalty(make_step(), make_view({"w": w}))


@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3), (4, 3, 2, 2)])
def test_value_and_gradient_are_those_of_the_largest_singular_value(shape):
    w = matrix(*shape).requires_grad_()
    value = penalty(w)
    (slope,) = torch.autograd.grad(value, w)
    u, sigma, v = np.linalg.svd(w.detach().flatten(1).numpy(), full_matrices=False)
    assert value.item() == pytest.approx(0.3 * sigma[0] ** 2, rel=1e-14)
    expected = torch.from_numpy(0.3 * 2 * sigma[0] * np.outer(u[:, 0], v[0])).reshape(shape)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-13)


def test_adds_up_weights_without_biases_and_normalization(network):
    value = technique("spectral_penalty", strength=1.0).penalty(make_step(), make_view(network))
    squares = [np.linalg.norm(network[n].numpy(), 2) ** 2 for n in ("0.weight", "1.weight")]
    assert float(value) == pytest.approx(sum(squares), rel=1e-14)


def test_equal_singular_values_have_a_finite_gradient():
    for w in (torch.eye(3), torch.zeros(3, 4), torch.ones(3, 4)):
        w.requires_grad_()
        (slope,) = torch.autograd.grad(penalty(w), w)
        assert slope.isfinite().all()


def test_a_run_that_diverged_leaves_the_others_of_its_stack_alone():
    """torch.linalg.svdvals raises for a NaN in any matrix of a batch."""
    stack = torch.stack([matrix(3, 5, seed=seed) for seed in range(4)])
    stack[1, 0, 0] = torch.nan
    stack[2, 1, 1] = torch.inf

    def one(w):
        return penalty(w)

    slopes, values = torch.vmap(torch.func.grad_and_value(one))(stack)
    for run in (0, 3):
        slope, value = torch.func.grad_and_value(one)(stack[run])
        torch.testing.assert_close(values[run], value, rtol=1e-14, atol=0)
        torch.testing.assert_close(slopes[run], slope, rtol=0, atol=1e-14)
