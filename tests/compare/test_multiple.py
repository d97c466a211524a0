"""Corrections for many comparisons, against scipy, statsmodels and enumeration."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from regexp.compare.multiple import benjamini_hochberg, copula, max_t, sign_flips
from regexp.compare.statistics import holm


def alike(count: int, correlation: float) -> np.ndarray:
    return np.full((count, count), correlation) + (1 - correlation) * np.eye(count)


def test_copula_has_the_correlation_and_repeats() -> None:
    wanted = np.array([[1, 0.8, -0.3], [0.8, 1, 0.1], [-0.3, 0.1, 1]])
    drawn = copula(wanted)
    assert np.corrcoef(drawn.T) == pytest.approx(wanted, abs=0.02)
    assert drawn.std(0) == pytest.approx(1, abs=0.02)
    assert np.array_equal(drawn, copula(wanted))


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_max_t_is_the_probability_of_so_large_a_maximum(correlation: float) -> None:
    p = np.array([0.04, 0.5, 0.01])
    adjusted = max_t(p, alike(3, correlation))
    sizes = stats.norm.isf(p / 2)

    def beyond(size: float, count: int) -> float:
        normal = stats.multivariate_normal(np.zeros(count), alike(count, correlation))
        return 1 - float(normal.cdf(np.full(count, size), lower_limit=np.full(count, -size)))

    first, second = beyond(sizes[2], 3), beyond(sizes[0], 2)
    assert adjusted[[2, 0, 1]] == pytest.approx([first, second, 0.5], abs=0.006)


def test_max_t_is_monotone_and_never_above_holm() -> None:
    p = np.random.default_rng(0).uniform(size=12) ** 3
    adjusted = max_t(p, alike(12, 0.5))
    assert (adjusted <= holm(p)).all()
    assert (adjusted >= p - 0.01).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert max_t([1e-30], [[1.0]])[0] <= 1e-30  # no draw is so rare
    assert len(max_t([], np.empty((0, 0)))) == 0


@pytest.mark.parametrize("p", [0.03, 0.037, 0.0452])
def test_max_t_is_never_below_what_it_corrects(p: float) -> None:
    """The draws are fixed: what they miss they miss in every sweep."""
    assert max_t([p], [[1.0]])[0] >= p
    assert max_t([p, 0.9], np.ones((2, 2)))[0] >= p


def test_a_comparison_without_a_p_counts() -> None:
    alone = max_t([0.02, 0.3], np.eye(2))
    with_failed = max_t([0.02, math.nan, 0.3], np.eye(3))
    assert math.isnan(with_failed[1])
    assert with_failed[0] > alone[0]


def test_max_t_holds_the_error_of_the_family() -> None:
    rng = np.random.default_rng(1)
    shared = alike(6, 0.7)
    drawn = rng.multivariate_normal(np.zeros(6), shared, 300)
    false = [max_t(2 * stats.norm.sf(np.abs(z)), shared).min() < 0.05 for z in drawn]
    assert np.mean(false) == pytest.approx(0.05, abs=0.038)  # three standard errors


def test_sign_flips_are_those_of_enumeration() -> None:
    given = np.random.default_rng(2).normal(0.4, 1, (7, 3))
    found = sign_flips(given)

    def largest(signs: tuple[int, ...], columns: list[int]) -> float:
        flipped = given * np.array(signs)[:, None]
        return float(np.abs(stats.ttest_1samp(flipped, 0).statistic)[columns].max())

    every = list(itertools.product([1, -1], repeat=7))
    sizes = np.abs(stats.ttest_1samp(given, 0).statistic)
    left, least = [0, 1, 2], 0.0
    for technique in np.argsort(-sizes):
        reached = [largest(signs, left) >= sizes[technique] - 1e-9 for signs in every]
        least = max(least, float(np.mean(reached)))
        assert found[technique] == pytest.approx(least)
        left.remove(technique)


@pytest.mark.parametrize("techniques", [1, 15])
def test_least_p_of_sign_flips_knows_no_number_of_techniques(techniques: int) -> None:
    given = np.zeros((6, techniques))
    given[:, 1:] = np.random.default_rng(3).normal(size=(6, techniques - 1))
    given[:, 0] = [1, 1.1, 0.9, 1, 1.05, 0.95]
    assert sign_flips(given)[0] == 2**-5


def test_many_datasets_are_drawn_and_no_difference_has_no_p_below_one() -> None:
    given = np.random.default_rng(4).normal(0.8, 1, (20, 1))
    exact = stats.permutation_test(
        (given[:, 0],), np.mean, permutation_type="samples", n_resamples=20_000, rng=0
    ).pvalue
    assert 0.001 < exact < 0.05
    assert sign_flips(given)[0] == pytest.approx(exact, abs=0.003)
    assert sign_flips(np.zeros((5, 1)))[0] == 1


def test_benjamini_hochberg_is_statsmodels() -> None:
    p = np.random.default_rng(5).uniform(size=40) ** 2
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert math.isnan(benjamini_hochberg([0.1, math.nan])[1])
    assert benjamini_hochberg([0.1, math.nan])[0] == pytest.approx(0.2)
