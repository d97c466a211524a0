"""Paired statistics, against scipy, statsmodels, enumeration, simulation and formulas by hand."""

import itertools
import math
import statistics
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import special, stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from regexp.compare.family import compare_family
from regexp.compare.seed_means import estimate_of_means
from regexp.compare.statistics import (
    ALPHA,
    POWER,
    detectable_errors,
    holm,
    overlap_of,
    paired,
)
from regexp.dataset.data import CLASSIFICATION, Table
from regexp.dataset.splitting import Splitter

scores = st.floats(-100, 100).map(lambda value: round(value, 3))
pairs_of_scores = st.lists(st.tuples(scores, scores), min_size=3, max_size=12)
overlaps = st.sampled_from([None, 0.25, 1.0])


def family(techniques: int, seeds: int, overlap: float | None = None, shift: float = 0.0):
    """A family of random scores, and its comparison."""
    rng = np.random.default_rng(techniques + seeds)
    baseline = pd.Series(rng.normal(size=seeds))
    given = {
        f"t{index}": (pd.Series(rng.normal(shift * index, size=seeds)), baseline)
        for index in range(techniques)
    }
    return given, compare_family(given, overlap=overlap)


def differing(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = np.array(pairs).T
    assume(np.ptp(ours - theirs) > 0.01)
    return ours, theirs


def compared(ours: np.ndarray, theirs: np.ndarray, overlap: float | None, lower: bool = False):
    """The row of one technique."""
    pair = {"it": (pd.Series(ours), pd.Series(theirs))}
    return compare_family(pair, overlap=overlap, lower_is_better=lower).iloc[0]


def all_of(row, prefix: str = "") -> list[float]:
    """Mean, interval and p of a comparison: on this table, or on other rows."""
    return [row["mean"], *(row[f"{prefix}{name}"] for name in ("low", "high", "p"))]


@given(pairs_of_scores)
def test_on_one_split_it_is_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = differing(pairs)
    reference = stats.ttest_rel(ours, theirs)
    expected = [np.mean(ours) - np.mean(theirs), *reference.confidence_interval(), reference.pvalue]
    assert all_of(compared(ours, theirs, None)) == pytest.approx(expected, abs=1e-9)


@given(pairs_of_scores, st.floats(0.05, 2))
def test_overlap_gives_nadeau_and_bengios_test(
    pairs: list[tuple[float, float]], ratio: float
) -> None:
    ours, theirs = differing(pairs)
    n, differences = len(ours), [a - b for a, b in zip(ours, theirs, strict=True)]
    mean, variance = statistics.fmean(differences), statistics.variance(differences)
    error = math.sqrt((1 / n + ratio) * variance)
    # The t distribution by the incomplete beta function.
    p = special.betainc((n - 1) / 2, 0.5, (n - 1) / (n - 1 + (mean / error) ** 2))
    reach = error * stats.t.ppf(0.975, n - 1)
    expected = [mean, mean - reach, mean + reach, p]
    assert all_of(compared(ours, theirs, ratio), "rows_") == pytest.approx(expected, abs=1e-9)


def test_corrected_error_is_that_of_the_mean_of_correlated_differences() -> None:
    rng = np.random.default_rng(0)
    ratio, n, sweeps = 1 / 3, 8, 20_000
    share = ratio / (1 + ratio)  # the correlation for which the correction is exact
    common, own = rng.normal(size=(sweeps, 1)), rng.normal(size=(sweeps, n))
    differences = math.sqrt(share) * common + math.sqrt(1 - share) * own
    # independent sweeps, so that none learns from the others: one call each
    found = [estimate_of_means(row[None], ratio).rows.error[0] for row in differences[:500]]
    expected = differences.mean(axis=1).var()
    assert np.mean(np.square(found)) == pytest.approx(expected, rel=0.08)


def test_p_is_near_that_of_all_exchanges_of_the_pairs() -> None:
    rng = np.random.default_rng(3)
    for shift in (0.0, 0.4, 0.8):
        differences = rng.normal(shift, 1, 11)
        row = compared(differences, np.zeros(11), None)
        signs = np.array(list(itertools.product([-1, 1], repeat=11)))
        extreme = np.abs(signs @ differences) >= abs(differences.sum()) - 1e-12
        assert row["p"] == pytest.approx(extreme.mean(), abs=0.03)


@given(pairs_of_scores, st.booleans())
@settings(max_examples=40)
def test_exchanging_technique_and_baseline_exchanges_the_signs(
    pairs: list[tuple[float, float]], lower: bool
) -> None:
    ours, theirs = differing(pairs)
    one, other = (compared(*both, 0.25, lower) for both in ((ours, theirs), (theirs, ours)))
    for prefix in ("", "rows_"):
        mean, low, high, p = all_of(one, prefix)
        assert all_of(other, prefix) == pytest.approx([-mean, -high, -low, p])
        assert one[f"{prefix}p_helps"] + other[f"{prefix}p_helps"] == pytest.approx(1)
    assert one["improvement"] + other["improvement"] == pytest.approx(1)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1), st.booleans())
def test_improvement_counts_wins_and_half_of_the_ties(pairs, lower: bool) -> None:
    points = [1.0 if (a < b if lower else a > b) else 0.5 if a == b else 0.0 for a, b in pairs]
    result = paired(*np.array(pairs).T, lower_is_better=lower)
    assert result.improvement == pytest.approx(statistics.fmean(points))


@given(st.lists(st.floats(0, 1), max_size=20))
def test_holm_agrees_with_statsmodels(p: list[float]) -> None:
    with patch("gc.collect"):  # which statsmodels calls; it takes longer than all else
        expected = multipletests(p, method="holm")[1] if p else []
    assert holm(p) == pytest.approx(expected, abs=1e-12)


def test_holm_counts_comparisons_without_a_p() -> None:
    assert holm([0.01, math.nan, 0.02]) == pytest.approx([0.03, math.nan, 0.04], nan_ok=True)


def test_detectable_difference_is_found_as_often_as_it_says() -> None:
    """Both what a sweep prints and what another finds are drawn, with the data spelled out."""
    rng = np.random.default_rng(1)
    for seeds, comparisons in ((3, 1), (5, 16), (10, 16)):
        level = ALPHA / comparisons
        differences = rng.normal(size=(2, 40_000, seeds))
        printed, error = differences.std(axis=2, ddof=1) / math.sqrt(seeds)
        effect = detectable_errors(seeds - 1, level) * printed
        t = (differences[1].mean(axis=1) + effect) / error
        assert np.mean(t > stats.t.isf(level / 2, seeds - 1)) == pytest.approx(POWER, abs=0.008)


def test_detectable_difference_of_many_seeds_is_that_of_a_known_spread() -> None:
    for level in (0.05, 0.001):
        known = stats.norm.isf(level / 2) + stats.norm.ppf(POWER)
        assert float(detectable_errors(99_999, level)) == pytest.approx(known, rel=1e-3)
    for seeds in (5, 10, 50):
        known = TTestPower().solve_power(nobs=seeds, alpha=0.05, power=POWER) * math.sqrt(seeds)
        assert known < float(detectable_errors(seeds - 1, 0.05)) < known * (1 + 1.3 / (seeds - 1))


def test_overlap_is_that_of_real_splits() -> None:
    table = Table(
        inputs=np.zeros((150, 1)),
        targets=np.repeat([0, 1, 2], 50),
        task=CLASSIFICATION,
        shape=(1,),
        columns=("x",),
        classes=("a", "b", "c"),
        source="made up",
        checksum="",
    )
    for test, validation in ((0.2, 0.2), (0.1, 0.3)):
        train, _, held_out = Splitter(
            table, "made up", validation, test, train_size=None, together=False
        ).split(0)
        assert overlap_of(test, validation) == pytest.approx(len(held_out) / len(train))


@given(
    st.lists(st.lists(scores, min_size=4, max_size=4), min_size=1, max_size=6),
    st.lists(scores, min_size=4, max_size=4),
    overlaps,
)
@settings(max_examples=50)
def test_intervals_and_corrected_p_agree(techniques, baseline, overlap: float | None) -> None:
    base = pd.Series(baseline)
    compared = compare_family(
        {index: (pd.Series(row), base) for index, row in enumerate(techniques)}, overlap=overlap
    )
    for _, row in compared[compared["p"].notna()].iterrows():
        alone = row["low"] > 0 or row["high"] < 0
        together = row["simultaneous_low"] > 0 or row["simultaneous_high"] < 0
        assert together <= (row["p_corrected"] < ALPHA) <= alone
        assert row["p"] <= row["p_corrected"]
        assert row["simultaneous_low"] <= row["low"] <= row["mean"] <= row["high"]
        assert (row["p_corrected"] < ALPHA) or abs(row["mean"]) < row["detectable"]


def test_simultaneous_intervals_are_bonferronis() -> None:
    given_scores, found = family(2, 6, overlap=0.25)
    for name, (ours, theirs) in given_scores.items():
        expected = stats.ttest_rel(ours, theirs).confidence_interval(1 - 0.05 / 2)
        row = found.loc[name]
        assert [row["simultaneous_low"], row["simultaneous_high"]] == pytest.approx([*expected])


def test_one_technique_needs_no_correction() -> None:
    _, compared = family(1, 6)
    row = compared.iloc[0]
    assert row["p_corrected"] == row["p"]
    assert row["simultaneous_low"] == row["low"]


def test_seeds_are_paired_whatever_their_order() -> None:
    baseline = pd.Series({0: 1.0, 1: 5.0, 2: 9.0, 3: 2.0})
    technique = pd.Series({3: 4.0, 1: 6.0, 0: 1.5, 7: 100.0})
    row = compare_family({("data", "", "l1", ""): (technique, baseline)}, overlap=None).iloc[0]
    differences = [2.0, 1.0, 0.5]
    assert row[["pairs", "missing"]].tolist() == [3, 2]
    assert row["mean"] == pytest.approx(statistics.fmean(differences))
    assert row["sd"] == pytest.approx(statistics.stdev(differences))


def test_a_seed_with_two_scores_is_refused() -> None:
    twice = pd.Series([1.0, 2.0], index=[0, 0])
    with pytest.raises(ValueError, match="l1: a seed has two scores"):
        compare_family({"l1": (twice, twice)}, overlap=None)


def test_a_sweep_without_techniques_has_no_rows() -> None:
    assert compare_family({}, overlap=None).empty


NAN, INF = math.nan, math.inf
SINGLE = np.array([0.9, 0.8, 0.7], np.float32)
UNKNOWN = ["sd", "error", "low", "high", "p", "p_corrected", "detectable"]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected", "unknown"),
    [
        ([], [], {"pairs": 0}, [*UNKNOWN, "mean", "improvement"]),
        ([NAN], [1.0], {"pairs": 0, "missing": 1}, [*UNKNOWN, "mean", "improvement"]),
        ([0.5], [0.25], {"pairs": 1, "mean": 0.25, "improvement": 1.0}, UNKNOWN),
        ([0.5, 0.5], [0.5, 0.5], {"mean": 0, "sd": 0, "improvement": 0.5}, UNKNOWN[1:]),
        ([0.6, 0.8], [0.5, 0.7], {"mean": 0.1, "sd": 0}, UNKNOWN[2:]),
        # Equal but for the rounding of float32: no sign that the difference is sure.
        (
            [0.9, 0.8, 0.7],
            np.array([0.8, 0.7, 0.6], np.float32),
            {"mean": 0.1, "sd": 0},
            UNKNOWN[2:],
        ),
        ([0.9, 0.8], np.array([0.9, 0.8], np.float32), {"mean": 0, "sd": 0}, UNKNOWN[1:]),
        ([INF, 1.0, 2.0], [1.0, 2.0, 4.0], {"infinite": 1, "mean": INF}, UNKNOWN),
        ([INF, 1.0, 2.0], [INF, 2.0, 4.0], {"infinite": 1, "improvement": 1 / 6}, UNKNOWN),
        ([1e308, 1.0], [-1e308, 2.0], {"infinite": 1}, UNKNOWN),
        ([1e308, 1.0], [1.0, 1e308], {"infinite": 0}, ["low", "p", "p_corrected", "detectable"]),
        ([NAN, 1.0, 2.0], [1.0, 2.0, 4.0], {"pairs": 2, "missing": 1, "mean": -1.5}, []),
    ],
)
def test_odd_scores_give_no_certainty_and_no_warning(ours, theirs, expected, unknown) -> None:
    compared = compare_family(
        {"l1": (pd.Series(ours, dtype=float), pd.Series(theirs, dtype=float))}, overlap=0.25
    )
    row = compared.iloc[0]
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-6)
    assert [name for name in unknown if not math.isnan(row[name])] == []


def test_a_failed_technique_makes_nothing_easier_for_the_others() -> None:
    given_scores, whole = family(3, 5, shift=1.0)
    ours, theirs = given_scores["t0"]
    given_scores["t0"] = ours.iloc[:0], theirs
    less = compare_family(given_scores, overlap=None).to_dict("index")
    assert set(whole.index) == set(less)
    for name in ("t1", "t2"):
        row = less[name]
        assert row["p_corrected"] >= row["p"] * 2 - 1e-12
        reach = row["simultaneous_high"] - row["mean"]  # of three, as if none had failed
        assert reach == pytest.approx(stats.t.isf(0.05 / 3 / 2, 4) * row["error"])
