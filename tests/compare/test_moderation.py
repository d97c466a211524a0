"""Moderated variances, against limma's equations and draws from its model."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma, polygamma

from regexp.compare.moderation import inverse_trigamma, prior, squeezed

VARIANCES = [0.8, 1.9, 0.4, 3.1, 12.0, 0.9, 1.2, 5.5]


@pytest.mark.parametrize("freedom", [np.full(8, 4.0), np.array([4, 4, 3, 4, 2, 4, 4, 3.0])])
def test_prior_fits_mean_and_variance_of_the_logarithms(freedom: np.ndarray) -> None:
    """Smyth 2004, section 6.2: E and Var of log s^2 under the model are those that were seen."""
    center, shared = prior(VARIANCES, freedom)
    shifted = np.log(VARIANCES) - digamma(freedom / 2) + np.log(freedom / 2)
    expected = math.log(center) - digamma(shared / 2) + math.log(shared / 2)
    assert shifted.mean() == pytest.approx(expected)
    within = polygamma(1, freedom / 2).mean()
    assert shifted.var(ddof=1) == pytest.approx(within + polygamma(1, shared / 2))


def test_prior_is_the_one_that_variances_are_drawn_from() -> None:
    rng = np.random.default_rng(0)
    sigma2 = 2.0 * 5 / rng.chisquare(5, 20_000)
    center, shared = prior(sigma2 * rng.chisquare(4, 20_000) / 4, 4)
    assert center == pytest.approx(2.0, rel=0.05)
    assert shared == pytest.approx(5.0, rel=0.1)


def test_variances_that_differ_by_chance_alone_are_one() -> None:
    same = [1.0, 1.1, 0.9, 1.05]
    center, freedom = prior(same, 3)
    assert center == pytest.approx(np.mean(same))
    assert freedom == math.inf
    found, shared = squeezed([*same, math.nan], 3)
    assert shared == math.inf
    assert found[:4] == pytest.approx(np.mean(same))
    assert math.isnan(found[4])


def test_squeezed_lies_between_its_own_and_the_center() -> None:
    found, shared = squeezed(VARIANCES, 4)
    center, expected = prior(VARIANCES, 4)
    assert shared == expected
    assert found == pytest.approx([(shared * center + 4 * s) / (shared + 4) for s in VARIANCES])


def test_of_two_nothing_is_learned_and_of_correlated_ones_less() -> None:
    for few in ([1.0, 9.0], [1.0, 9.0, math.nan], [1.0, 9.0, 0.0]):
        found, shared = squeezed(few, 4)
        assert shared == 0
        assert found == pytest.approx(few, nan_ok=True)
    found, shared = squeezed(VARIANCES, 4, most=1.0)
    assert shared == 1
    assert found[0] == pytest.approx((np.mean(VARIANCES) + 4 * 0.8) / 5)


@given(st.floats(1e-6, 1e6))
def test_inverse_trigamma_is_the_inverse(value: float) -> None:
    assert polygamma(1, inverse_trigamma(value)) == pytest.approx(value, rel=1e-6)
