"""Group lasso: the conditions of Karush, Kuhn and Tucker hold at Yuan & Lin's solution."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.support import make_step, make_view, technique


def penalty(w, **changes):
    return technique("group_lasso", **changes).penalty(make_step(), make_view({"w": w}))


@pytest.mark.parametrize(("groups", "axis"), [("incoming", 0), ("outgoing", 1)])
@pytest.mark.parametrize("shape", [(4, 3), (5, 3, 2, 2)])
def test_sums_the_norms_of_units_and_inputs(groups, axis, shape):
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(shape, generator=generator, dtype=torch.float64)
    value = penalty(w, strength=0.3, groups=groups)
    expected = 0.3 * sum(math.sqrt(g.numel()) * g.flatten().norm() for g in w.unbind(axis))
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)


def test_a_filter_is_a_unit_and_a_kernel_of_all_filters_an_input():
    """Switching a group off is switching that output or input channel off."""
    convolution = nn.Conv2d(3, 4, 3, bias=False).double()
    x = torch.randn(2, 3, 5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for groups, axis in (("incoming", 0), ("outgoing", 1)):
        w = convolution.weight.detach().clone()
        w.select(axis, 1).zero_()
        full = penalty(convolution.weight, groups=groups)
        less = penalty(w, groups=groups)
        group = convolution.weight.select(axis, 1)
        expected = 1e-4 * math.sqrt(group.numel()) * group.flatten().norm()
        torch.testing.assert_close(full - less, expected, rtol=1e-12, atol=0)
        if groups == "incoming":
            assert (F.conv2d(x, w)[:, 1] == 0).all()
        else:
            other = x.clone()
            other[:, 1] += 1
            assert torch.equal(F.conv2d(x, w), F.conv2d(other, w))


def test_gradient_is_the_closed_form():
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    w[2] = 0  # where the norm has no slope the subgradient 0 is taken
    w.requires_grad_()
    value = penalty(w, strength=0.3)
    (slope,) = torch.autograd.grad(value, w)
    unit = F.normalize(w.detach(), dim=1)
    torch.testing.assert_close(slope, 0.3 * math.sqrt(3) * unit, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(("groups", "axis"), [("incoming", 0), ("outgoing", 1)])
def test_optimum_of_an_orthonormal_design_is_the_closed_form(groups, axis):
    """Of 1/2 norm(w - z)^2 + penalty: w_g = max(0, 1 - t / norm(z_g)) z_g, t = s * sqrt(size)."""
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    lasso = technique("group_lasso", strength=0.9, groups=groups)
    other = 1 - axis
    threshold = 0.9 * math.sqrt(z.shape[other])
    norms = z.norm(dim=other, keepdim=True)
    best = (z * (1 - threshold / norms).clamp(min=0)).requires_grad_()

    def objective(w):
        return (w - z).square().sum() / 2 + lasso.penalty(make_step(), make_view({"w": w}))

    (slope,) = torch.autograd.grad(objective(best), best)
    zero = (best == 0).all(other)
    assert zero.any()
    assert not zero.all()
    lengths = slope.norm(dim=other)
    assert lengths[~zero].max() < 1e-14
    assert lengths[zero].max() <= threshold  # the subgradients of the norm at zero reach so far
    for seed in range(20):
        step = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed)).double()
        assert objective(best + 1e-3 * step) > objective(best)


def test_leaves_biases_and_normalization_out(network):
    value = technique("group_lasso", strength=1.0).penalty(make_step(), make_view(network))
    first, second = network["0.weight"], network["1.weight"]
    expected = math.sqrt(3) * first.norm(dim=1).sum() + math.sqrt(4) * second.norm(dim=1).sum()
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)
