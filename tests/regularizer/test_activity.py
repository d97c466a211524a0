"""Activity penalties: the value of Keras's activity_regularizer, by its definition."""

from __future__ import annotations

import pytest
import torch

from tests.support import make_step, make_view, technique

NAMES = {"activity_l1": torch.abs, "activity_l2": torch.square}


def look(**hidden):
    return make_view({})._replace(outputs=torch.zeros(6, 2, dtype=torch.float64), hidden=hidden)


def values(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 3), (6, 3, 2, 2)])
def test_is_kerass_value(name, shape):
    """Keras: the regularizer's sum over a layer's whole output, divided by the batch size."""
    h = values(*shape)
    value = technique(name, strength=0.3).penalty(make_step(), look(hidden=h))
    expected = 0.3 * NAMES[name](h).sum() / 6
    torch.testing.assert_close(value, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_adds_up_blocks_and_does_not_depend_on_the_rows(name):
    one, other = values(6, 4), values(6, 3, 2, 2)
    penalty = technique(name, strength=0.3).penalty
    both = penalty(make_step(), look(one=one, other=other))
    singles = [penalty(make_step(), look(hidden=h)) for h in (one, other)]
    torch.testing.assert_close(both, sum(singles), rtol=1e-14, atol=0)
    twice = penalty(make_step(), look(hidden=torch.cat([one, one])))
    torch.testing.assert_close(twice, singles[0], rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_the_sign_or_twice_the_value(name):
    h = values(6, 4).requires_grad_()
    value = technique(name, strength=0.3).penalty(make_step(), look(hidden=h))
    (slope,) = torch.autograd.grad(value, h)
    h = h.detach()
    expected = 0.3 * (h.sign() if name == "activity_l1" else 2 * h) / 6
    torch.testing.assert_close(slope, expected, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_short_activations_are_added_up_in_the_precision_of_the_outputs(name):
    h = torch.full((6, 4000), 0.125, dtype=torch.bfloat16)  # a power of two: no rounding of its own
    value = technique(name, strength=1.0).penalty(make_step(), look(hidden=h))
    assert value == 4000 * NAMES[name](torch.tensor(0.125, dtype=torch.float64))
