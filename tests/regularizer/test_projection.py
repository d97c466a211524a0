"""Unit norm, non-negative weights: Keras's formulas; scipy's non-negative least squares."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import nn

from regexp.regularizer.base import NotApplicable
from tests.support import make_step, technique


def projected(constraint, parameters):
    return constraint.constrain(make_step(), parameters, parameters)


def test_unit_norm_scales_each_unit_and_keeps_directions():
    w = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    new = projected(technique("unit_norm"), {"w": w})["w"]
    torch.testing.assert_close(new.norm(dim=1), torch.ones(7).double(), rtol=1e-15, atol=0)
    torch.testing.assert_close(new, w / w.norm(dim=1, keepdim=True), rtol=1e-15, atol=0)
    again = projected(technique("unit_norm"), {"w": new})["w"]
    torch.testing.assert_close(again, new, rtol=1e-15, atol=0)


def test_unit_norm_has_the_value_of_keras():
    """keras.constraints.UnitNorm: w / (1e-7 + norm), here along our axis."""
    w = torch.tensor([[3.0, 4.0], [0.0, 0.0], [-30.0, 40.0]], dtype=torch.float64)
    new = projected(technique("unit_norm"), {"w": w})["w"]
    keras = w / (1e-7 + w.norm(dim=1, keepdim=True))
    torch.testing.assert_close(new, keras, rtol=2.1e-8, atol=0)
    expected = torch.tensor([[0.6, 0.8], [0.0, 0.0], [-0.6, 0.8]], dtype=torch.float64)
    torch.testing.assert_close(new, expected, rtol=1e-15, atol=0)


def test_unit_norm_takes_a_filter_as_one_unit():
    w = torch.ones(2, 3, 2, 2)
    new = projected(technique("unit_norm"), {"w": w})["w"]
    torch.testing.assert_close(new, torch.full_like(w, 12**-0.5))


def test_non_negative_has_the_value_of_keras():
    """keras.constraints.NonNeg: w * (w >= 0)."""
    w = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    new = projected(technique("non_negative"), {"w": w})["w"]
    assert torch.equal(new, w * (w >= 0))
    assert torch.equal(projected(technique("non_negative"), {"w": new})["w"], new)


def test_non_negative_gradient_descent_is_non_negative_least_squares(regression):
    x, y = regression
    best, _ = scipy.optimize.nnls(x.numpy(), y.numpy())
    constraint = technique("non_negative")
    w = torch.zeros(1, x.shape[1], dtype=x.dtype)
    for _ in range(2000):
        gradient = 2 * (x @ w.T - y[:, None]).T @ x / len(y)
        w = projected(constraint, {"w": w - 0.1 * gradient})["w"]
    assert 0 < np.count_nonzero(best) < len(best)
    np.testing.assert_allclose(w[0].numpy(), best, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(w[0].numpy() == 0, best == 0)


@pytest.mark.parametrize("name", ["unit_norm", "non_negative"])
def test_acts_on_weights_of_the_names_that_are_asked_for(network, name):
    for pattern, changed in (
        ("*", {"0.weight", "1.weight"}),
        ("1.*", {"1.weight"}),
        ("?.weight", {"0.weight", "1.weight"}),
        ("*.bias", set()),
    ):
        new = projected(technique(name, names=pattern), network)
        assert {n for n, p in network.items() if not torch.equal(new[n], p)} == changed


@pytest.mark.parametrize("name", ["unit_norm", "non_negative"])
def test_refuses_names_that_no_weight_has(name):
    model = nn.Sequential(nn.Linear(3, 2))
    assert technique(name, names="0.*").build(model) is model
    with pytest.raises(NotApplicable, match=rf"regularizer\.{name}\.names: 'out\*'.*0\.weight"):
        technique(name, names="out*").build(model)
