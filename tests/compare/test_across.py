"""Comparison across datasets, against Demsar's tables, enumeration and formulas by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from regexp.compare.across import (
    bootstrap_interval,
    complete,
    critical_rank_difference,
    friedman,
    interquartile_mean,
    notes,
    ranks,
    wilcoxon,
)
from regexp.compare.statistics import holm

# Table 6 of Demsar 2006: areas under the curve of C4.5 on 14 datasets, plain and with its
# parameters m, cf, both tuned.
DEMSAR = pd.DataFrame(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # printed as 0.975 both, but ranked 2 and 3
        [0.957, 0.978, 0.946, 0.970],
    ],
    columns=["none", "m", "cf", "m+cf"],
)

score = st.integers(0, 6).map(float)  # ties abound
tables = st.integers(3, 5).flatmap(
    lambda columns: st.lists(
        st.lists(score, min_size=columns, max_size=columns), min_size=2, max_size=8
    )
)


def test_average_ranks_are_demsars() -> None:
    assert ranks(DEMSAR).mean().tolist() == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)


def test_friedmans_statistic_is_demsars_but_for_ties() -> None:
    ranked = ranks(DEMSAR)
    result = friedman(ranked)
    n, k = DEMSAR.shape
    plain = 12 * n / (k * (k + 1)) * ((ranked.mean() ** 2).sum() - k * (k + 1) ** 2 / 4)
    assert plain == pytest.approx(9.28, abs=5e-3)  # as printed there
    counts = [np.unique(row, return_counts=True)[1] for row in ranked.to_numpy()]
    correction = 1 - sum((c**3 - c).sum() for c in counts) / (n * (k**3 - k))
    assert correction < 1
    assert result.statistic == pytest.approx(plain / correction)
    assert result.p == pytest.approx(stats.chi2.sf(plain / correction, k - 1))


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_difference_has_demsars_quantiles(k: int, q: float) -> None:
    expected = q * math.sqrt(k * (k + 1) / (6 * 14))
    assert critical_rank_difference(k, 14) == pytest.approx(expected, rel=4e-4)


def test_critical_difference_of_two_is_the_normal_quantile() -> None:
    """The range of two normal numbers over sqrt(2) is the size of one."""
    assert critical_rank_difference(2, 1) == pytest.approx(stats.norm.ppf(0.975))


def test_wilcoxon_is_demsars() -> None:
    """Table 2: ranks of 93 and 12, with those of two zeros (1.5 each) split. Pratt drops them."""
    result = wilcoxon(DEMSAR, "none").iloc[0]
    assert result["statistic"] == 12 - 1.5
    assert result[["datasets", "wins", "ties", "losses"]].tolist() == [14, 10, 2, 2]
    assert result["method"] == "asymptotic"  # 14 datasets, with ties
    assert result["p"] < 0.05  # as found there


def enumerated(differences: np.ndarray) -> float:
    """Two-sided p over all patterns of signs; zeros are ranked, then dropped."""
    ranked = stats.rankdata(np.abs(differences))[differences != 0]
    signs = np.sign(differences[differences != 0])
    patterns = np.array(list(itertools.product([-1, 1], repeat=len(ranked))))
    sums = np.abs(patterns @ ranked)
    return float(np.mean(sums >= abs(signs @ ranked) - 1e-9))


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=8))
@settings(max_examples=40)
def test_wilcoxon_with_ties_and_zeros_agrees_with_enumeration(values: list[int]) -> None:
    differences = np.array(values, dtype=float)
    scores = pd.DataFrame({"none": 0.25, "l1": 0.25 + differences / 16})
    result = wilcoxon(scores, "none").iloc[0]
    expected = enumerated(differences) if differences.any() else 1.0
    assert result["p"] == pytest.approx(expected)
    assert result[["wins", "ties", "losses"]].tolist() == [
        sum(d > 0 for d in values),
        values.count(0),
        sum(d < 0 for d in values),
    ]


def test_wilcoxon_without_ties_is_exact_and_corrected_after_holm() -> None:
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(rng.normal([0, 1, 0.2, 3], 1, (10, 4)), columns=["none", "a", "b", "c"])
    result = wilcoxon(scores, "none")
    for name in "abc":
        differences = (scores[name] - scores["none"]).to_numpy()
        assert result.loc[name, "p"] == pytest.approx(enumerated(differences))
    assert set(result["method"]) == {"exact"}
    assert result["p_holm"].tolist() == pytest.approx(holm(result["p"]).tolist())


def test_wilcoxon_of_one_scale_does_not_drown_that_of_another() -> None:
    """What rounding may make of an error of 1e5 is more than the other scores differ."""
    scores = pd.DataFrame({"none": [1e5, 0.30, 0.50], "l1": [1.1e5, 0.31, 0.52]})
    result = wilcoxon(scores, "none", lower_is_better=True).iloc[0]
    assert result[["wins", "ties", "losses"]].tolist() == [0, 0, 3]
    assert result["method"] == "exact"


@given(tables, st.booleans())
@settings(max_examples=60)
def test_ranks_agree_with_pandas(rows: list[list[float]], lower: bool) -> None:
    scores = pd.DataFrame(rows)
    expected = scores.rank(axis=1, ascending=lower)
    pd.testing.assert_frame_equal(ranks(scores, lower_is_better=lower), expected)


@given(tables, st.floats(0.5, 20), st.floats(-5, 5), st.randoms())
@settings(max_examples=20)
def test_tests_of_ranks_know_no_unit_and_no_order(rows, scale, shift, random) -> None:
    scores = pd.DataFrame(rows, columns=["none", *"abcd"[: len(rows[0]) - 1]])
    order = list(range(len(rows)))
    random.shuffle(order)
    moved = (scores * scale + shift).iloc[order]
    assert friedman(ranks(moved)).p == pytest.approx(friedman(ranks(scores)).p)
    here, there = wilcoxon(scores, "none"), wilcoxon(-moved, "none", lower_is_better=True)
    pd.testing.assert_frame_equal(here, there)
    mirrored = wilcoxon(-scores, "none")
    assert mirrored["wins"].tolist() == here["losses"].tolist()
    assert mirrored["p"].tolist() == pytest.approx(here["p"].tolist())


def test_friedman_of_equal_or_few_techniques_says_nothing() -> None:
    same = friedman(ranks(pd.DataFrame(np.ones((4, 3)))))
    assert (same.statistic, same.p) == (0, 1)
    assert math.isnan(friedman(ranks(pd.DataFrame(np.eye(4, 2)))).p)
    assert math.isnan(friedman(ranks(pd.DataFrame(np.eye(1, 4)))).p)


def test_friedman_is_rarely_wrong_and_finds_what_is_there() -> None:
    rng = np.random.default_rng(0)
    p = [
        [friedman(ranks(pd.DataFrame(rng.normal(np.arange(4) * shift, 1, (12, 4))))).p
         for _ in range(150)]
        for shift in (0.0, 1.0)
    ]  # fmt: skip
    assert np.mean(np.array(p[0]) < 0.05) < 0.1
    assert np.mean(np.array(p[1]) < 0.05) > 0.9


def test_what_float32_cannot_tell_apart_is_a_tie() -> None:
    third = float(np.float32(1 / 3))
    scores = pd.DataFrame({"none": [1 / 3, 0.5], "a": [third, 0.6], "b": [1 / 3 + 1e-4, 0.5]})
    assert ranks(scores).to_numpy().tolist() == [[2.5, 2.5, 1], [2.5, 1, 2.5]]
    assert wilcoxon(scores, "none").loc["a", "ties"] == 1


def test_infinite_scores_are_the_worst() -> None:
    scores = pd.DataFrame({"none": [1.0, math.inf], "a": [math.inf, math.inf], "b": [2.0, 1.0]})
    assert ranks(scores, lower_is_better=True).to_numpy().tolist() == [[1, 3, 2], [2.5, 2.5, 1]]
    result = wilcoxon(scores, "none", lower_is_better=True)
    assert result[["wins", "ties", "losses"]].to_numpy().tolist() == [[0, 1, 1], [1, 0, 1]]


def test_a_technique_without_a_score_is_named_or_left_out() -> None:
    scores = pd.DataFrame({"none": [1.0, 2.0], "a": [1.0, math.nan], "b": [1.0, 1.0]})
    with pytest.raises(ValueError, match="no score on some dataset: a;"):
        ranks(scores)
    with pytest.raises(ValueError, match="no score on some dataset: a;"):
        wilcoxon(scores, "none")
    assert complete(scores).columns.tolist() == ["none", "b"]


def test_notes_tell_what_the_numbers_of_datasets_cannot_show() -> None:
    assert notes(5, 30) == []
    few = notes(46, 8)
    assert "26.5 ranks" in few[0]
    assert "tell no two of them apart" not in few[0]
    assert len(few) == 1
    assert "no p below 0.062 is possible, whatever the scores; 6 have" in notes(5, 5)[-1]
    assert "at most 4 apart: on 2 dataset(s) it can tell no two" in notes(5, 2)[0]
    assert notes(1, 8) == []


def test_interquartile_mean_is_that_of_the_middle_half() -> None:
    values = [100.0, 1.0, 2.0, -50.0, 3.0, 4.0, 7.0, 0.0]
    assert interquartile_mean(values) == (1 + 2 + 3 + 4) / 4
    assert interquartile_mean([1.0, 5.0, 3.0]) == 3  # a quarter of three is no whole value


def test_bootstrap_agrees_with_one_by_hand() -> None:
    rng = np.random.default_rng(0)
    samples = [rng.normal(index, 1, 10) for index in range(3)]
    drawn = [
        stats.trim_mean(np.concatenate([rng.choice(s, len(s)) for s in samples]), 0.25)
        for _ in range(4000)
    ]
    expected = np.quantile(drawn, [0.025, 0.975])
    got = bootstrap_interval(samples, np.random.default_rng(1))
    assert got == pytest.approx(expected, abs=0.06)
    # Drawn from all values together the interval would be wider: the strata lie apart.
    whole = stats.bootstrap([np.concatenate(samples)], interquartile_mean, rng=rng)
    assert got[1] - got[0] < 0.8 * np.ptp(whole.confidence_interval)


def test_bootstrap_repeats_itself() -> None:
    samples = [[0.1, 0.4, 0.3], [0.2, 0.9]]
    first, second = (
        bootstrap_interval(samples, np.random.default_rng(seed), resamples=99) for seed in (7, 7)
    )
    assert first == second


@pytest.mark.parametrize("samples", [[], [[1.0], [1.0, 2.0]], [[1.0, math.inf]], [[1.0, math.nan]]])
def test_bootstrap_of_too_little_says_nothing(samples: list[list[float]]) -> None:
    assert all(map(math.isnan, bootstrap_interval(samples, np.random.default_rng(0))))


def test_bootstrap_of_equal_values_has_no_width() -> None:
    assert bootstrap_interval([[2.0, 2.0], [2.0] * 3], np.random.default_rng(0)) == (2.0, 2.0)
