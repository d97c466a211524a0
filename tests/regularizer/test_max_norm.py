"""Max-norm: each unit's incoming weights are bounded, and only where they must."""

from __future__ import annotations

import math

import pytest
import torch

from tests.support import make_step, technique


def constrained(parameters, limit):
    kind = type(technique("max_norm"))
    return kind(limit).constrain(make_step(), parameters, parameters)


def test_bound_holds_for_each_unit_and_directions_stay():
    w = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    new = constrained({"w": w}, 2.0)["w"]
    norms = w.norm(dim=1)
    assert (norms > 2).any()
    assert (norms < 2).any()
    torch.testing.assert_close(new.norm(dim=1), norms.clamp(max=2), rtol=1e-15, atol=0)
    torch.testing.assert_close(new / new.norm(dim=1, keepdim=True), w / norms[:, None])
    assert torch.equal(new[norms <= 2], w[norms <= 2])


def test_value_is_that_of_keras():
    """keras.constraints.MaxNorm: w * clip(norm, 0, c) / (1e-7 + norm), here along our axis."""
    w = torch.tensor([[3.0, 4.0], [0.3, 0.4]], dtype=torch.float64)
    new = constrained({"w": w}, 2.0)["w"]
    norms = w.norm(dim=1, keepdim=True)
    keras = w * norms.clamp(0, 2) / (1e-7 + norms)
    torch.testing.assert_close(new, keras, rtol=5e-7, atol=0)
    torch.testing.assert_close(new[0], torch.tensor([1.2, 1.6], dtype=torch.float64))


def test_a_filter_is_one_unit():
    w = torch.ones(2, 3, 2, 2)
    new = constrained({"w": w}, 1.0)["w"]
    torch.testing.assert_close(new.flatten(1).norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("limit", [math.inf, torch.tensor(math.inf)])
def test_no_limit_changes_no_bit(limit):
    w = torch.tensor([[0.0, 0.0], [1e30, -1e30], [1e-40, 0.0]])
    assert torch.equal(constrained({"w": w}, limit)["w"], w)
