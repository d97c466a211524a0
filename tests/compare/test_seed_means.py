"""One score a seed, against scipy, Nadeau and Bengio's formula by hand, and baycomp."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from regexp.compare.moderation import squeezed
from regexp.compare.seed_means import estimate_of_means

OVERLAP = 1 / 3

# Two techniques' accuracies less the baseline's at five seeds.
GIVEN = np.array([[0.02, 0.03, 0.01, 0.04, 0.02], [0.01, -0.02, 0.00, 0.03, -0.01]])


def test_of_two_techniques_the_table_has_paired_t_tests() -> None:
    found = estimate_of_means(GIVEN, OVERLAP).table
    test = stats.ttest_1samp(GIVEN, 0, axis=1)
    assert found.p == pytest.approx(test.pvalue)
    assert found.adjusted == pytest.approx(multipletests(test.pvalue, method="holm")[1])
    interval = test.confidence_interval(0.95)
    assert found.low == pytest.approx(interval.low)
    assert found.high == pytest.approx(interval.high)


def test_other_rows_have_nadeau_and_bengios_test() -> None:
    """Section 3: t = mean / sqrt((1/J + n2/n1) s^2), with J - 1 degrees of freedom."""
    found = estimate_of_means(GIVEN, OVERLAP).rows
    for place, given in enumerate(GIVEN):
        t = given.mean() / math.sqrt((1 / 5 + OVERLAP) * given.var(ddof=1))
        assert found.p[place] == pytest.approx(2 * stats.t.sf(abs(t), 4))


def test_probabilities_are_baycomps() -> None:
    """Its correlated t-test (Corani and Benavoli 2015) takes 1 / (folds - 1) for the overlap."""
    baycomp = pytest.importorskip("baycomp")
    given = GIVEN[1, :4]
    found = estimate_of_means([given], 1 / 3, matters=0.005).rows
    worse, equal, better = baycomp.two_on_single(np.zeros(4), given, rope=0.005)
    assert found.equal[0] == pytest.approx(equal)
    assert found.matters[0] == pytest.approx(better)
    assert 1 - found.matters[0] - found.equal[0] == pytest.approx(worse)
    assert found.helps[0] == pytest.approx(baycomp.two_on_single(np.zeros(4), given)[1])


def test_of_many_techniques_variances_are_moderated_and_none_is_below_its_own() -> None:
    given = np.random.default_rng(0).normal(0, 1, (15, 6))
    given[3] *= 10
    found = estimate_of_means(given, OVERLAP)
    own = given.var(axis=1, ddof=1)
    effective = 225 / (15 + 15 * 14 / 4)
    expected, shared = squeezed(own, 5, 2 * (effective - 1) * 5)
    assert found.table.variance == pytest.approx(np.maximum(own, expected))
    assert found.table.freedom == pytest.approx(5 + shared)
    assert found.table.error == pytest.approx(np.sqrt(found.table.variance / 6))
    assert found.rows.error == pytest.approx(np.sqrt(found.table.variance * (1 / 6 + OVERLAP)))


def test_on_one_split_nothing_is_known_of_other_rows() -> None:
    found = estimate_of_means(GIVEN, None)
    assert np.isfinite(found.table.p).all()
    assert np.isnan(found.rows.p).all()
    assert np.isnan(found.rows.adjusted).all()
    assert np.isnan(found.rows.seeds).all()


def test_what_did_nothing_leaves_the_family_and_what_failed_does_not() -> None:
    nothing, failed, lacking = np.zeros(5), np.full(5, np.nan), np.array([np.inf, 1, 2, 3, 4])
    alone = estimate_of_means(GIVEN, OVERLAP).table.adjusted
    idle = estimate_of_means([*GIVEN, nothing], OVERLAP)
    assert idle.changed.tolist() == [True, True, False]
    assert idle.table.adjusted[:2] == pytest.approx(alone)
    lost = estimate_of_means([*GIVEN, failed, lacking], OVERLAP)
    assert lost.changed.all()
    assert lost.table.adjusted[0] == pytest.approx(min(1, 2 * alone[0]))
    assert np.isnan(lost.table.adjusted[2:]).all()


def test_equal_differences_tell_no_spread() -> None:
    found = estimate_of_means([[0.5, 0.5 + 1e-9, 0.5]], OVERLAP, rounding=1e-8)
    assert found.mean[0] == pytest.approx(0.5)
    assert found.changed[0]
    assert math.isnan(found.table.p[0])


@pytest.mark.parametrize("seeds", [3, 6])
@pytest.mark.parametrize("spreads", [[1] * 10, [1] * 3, [1, 1, 3]])
def test_false_claims_are_held_to_what_is_said(spreads: list[int], seeds: int) -> None:
    """Of techniques that share a baseline, at seeds that are independent given the table."""
    rng = np.random.default_rng(seeds)
    claims, sweeps = 0, 400
    for _ in range(sweeps):
        scores = rng.normal(size=(1 + len(spreads), seeds)) * np.array([1, *spreads])[:, None]
        claims += estimate_of_means(scores[1:] - scores[0], None).table.adjusted.min() < 0.05
    assert claims / sweeps < 0.05 + 2 * math.sqrt(0.05 * 0.95 / sweeps)
