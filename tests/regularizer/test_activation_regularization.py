"""AR and TAR: the sums of the paper written out, and zero where nothing changes in time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from regexp.regularizer.base import Block, NotApplicable
from tests.support import make_step, make_view, technique


def look(**hidden):
    return make_view({})._replace(outputs=torch.zeros(6, 2, dtype=torch.float64), hidden=hidden)


def values(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_is_the_sum_of_both_means():
    h = values(6, 5, 3)
    both = technique("activation_regularization", alpha=0.3, beta=0.7)
    value = both.penalty(make_step(), look(hidden=h))
    size = sum(float(h[r, t].square().sum()) for r in range(6) for t in range(5)) / (6 * 5 * 3)
    change = sum(
        float((h[r, t] - h[r, t - 1]).square().sum()) for r in range(6) for t in range(1, 5)
    ) / (6 * 4 * 3)
    assert float(value) == pytest.approx(0.3 * size + 0.7 * change, rel=1e-13)


def test_gradient_of_the_change_is_the_second_difference():
    """Within a sequence: 2 * (2 h_t - h_(t-1) - h_(t+1)) / (rows * (times - 1) * features)."""
    h = values(6, 5, 3).requires_grad_()
    only = technique("activation_regularization", alpha=0.0, beta=0.7)
    (slope,) = torch.autograd.grad(only.penalty(make_step(), look(hidden=h)), h)
    h = h.detach()
    expected = 0.7 * 2 * (2 * h[:, 1:-1] - h[:, :-2] - h[:, 2:]) / (6 * 4 * 3)
    torch.testing.assert_close(slope[:, 1:-1], expected, rtol=0, atol=1e-15)


def test_a_constant_sequence_has_no_change():
    h = values(6, 1, 3).expand(6, 5, 3)
    only = technique("activation_regularization", alpha=0.0, beta=0.7)
    assert only.penalty(make_step(), look(hidden=h)) == 0


def test_reads_the_last_recurrent_block_alone():
    h = values(6, 5, 3)
    penalty = technique("activation_regularization").penalty
    alone = penalty(make_step(), look(hidden=h))
    among = penalty(make_step(), look(first=values(6, 5, 4), last=h, flat=values(6, 2)))
    assert among == alone


def test_one_time_has_its_size_alone():
    h = values(6, 1, 3)
    value = technique("activation_regularization", alpha=0.3).penalty(make_step(), look(hidden=h))
    torch.testing.assert_close(value, 0.3 * h.square().mean(), rtol=1e-14, atol=0)


def test_needs_a_recurrent_block():
    model = nn.Sequential(Block(nn.Linear(3, 4), nn.ReLU()), nn.Linear(4, 2))
    with pytest.raises(NotApplicable, match=r"regularizer\.activation_regularization.*activity_l2"):
        technique("activation_regularization").build(model)
