"""What the benchmark of verdicts simulates is what it says."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from benchmarks.worlds.measures import errors, powers, with_error
from benchmarks.worlds.networks import trained
from benchmarks.worlds.numbers import numbers
from benchmarks.worlds.pools import Pools
from benchmarks.worlds.ridge import ridge
from benchmarks.worlds.settings import AGAIN, POOLS, small
from benchmarks.worlds.sweep import Sweep, before, judged
from regexp.compare.estimator import Design


def test_the_test_of_before_is_the_paired_t_test_on_one_split() -> None:
    from scipy.stats import t, ttest_1samp

    differences = default_rng(0).standard_normal((1, 6, 10))
    rows = np.tile(np.arange(10), (6, 1))
    sweep = Sweep(differences, rows, Design(50, 30, 10, one_split=True), 10)
    expected = ttest_1samp(differences[0].mean(1), 0).pvalue
    assert before(sweep)[0] == pytest.approx(expected)
    resampled = replace(sweep, design=Design(50, 30, 10))
    error = differences[0].mean(1).std(ddof=1) * np.sqrt(1 / 6 + 10 / 30)
    assert before(resampled)[0] == pytest.approx(2 * t.sf(abs(sweep.means[0]) / error, 5))


@pytest.mark.parametrize("balanced", [True, False])
def test_rows_of_a_sweep_are_tested_or_learned_from(balanced: bool) -> None:
    draw = partial(ridge, seed=0, techniques=2, seeds=5, rows=100, balanced=balanced)
    sweep = draw(0, train_size=20)
    assert sweep.differences.shape == (2, 5, 60)  # the test split's and those left over
    for rows in sweep.rows:
        assert len(set(rows)) == 60
    folds = sweep.rows[:, : sweep.test].ravel()
    assert (len(set(folds)) == len(folds)) == balanced
    if balanced:  # what a seed learns from or validates with, it does not test
        apart = [set(range(100)) - set(rows) for rows in sweep.rows]
        assert np.bincount([row for rows in apart for row in rows]).tolist() == [2] * 100


def test_arms_are_equal_on_the_table_or_over_tables_alone() -> None:
    """Of many seeds the mean is no technique's on this table, and keeps what rows favour else."""
    draw = partial(numbers, seed=0, techniques=20, seeds=400, rows=60, of_seed=0.0)
    sweep, other = draw(0, null="this table"), draw(0, null="other rows")
    noise = np.sqrt(2 / sweep.rows.size)
    assert np.abs(sweep.means).max() < 5 * noise < np.abs(other.means).max()


def test_networks_are_the_same_when_they_are_read_back(tmp_path: Path) -> None:
    setting = replace(small(POOLS), techniques=("none", "dropout"), pools=1, seeds=5, epochs=1)
    first = trained(setting, 0, tmp_path)
    (kept,) = tmp_path.iterdir()
    again = trained(setting, 0, tmp_path)
    assert kept.stat().st_mtime_ns == next(tmp_path.iterdir()).stat().st_mtime_ns
    for metric, scores in first.scores.items():
        assert np.array_equal(scores, again.scores[metric])
    tested = first.rows[0, :, : first.test]
    assert sorted(tested.ravel()) == list(range(first.pool))  # five folds


def test_none_again_differs_and_pools_without_gain_have_none() -> None:
    outputs = trained(replace(small(AGAIN), techniques=("none",) * 3, epochs=1), 0)
    nll = outputs.scores["nll"]
    assert (nll[:, 1] != nll[:, 0]).any()
    assert (nll[:, 1] != nll[:, 2]).any()
    pools = Pools(outputs, "nll")
    means = [pools.sweep(number, seeds=10).means for number in range(pools.count)]
    assert np.mean(means, 0) == pytest.approx(0, abs=1e-6)
    shuffled = pools.shuffled(3, seed=0, techniques=2, seeds=4)
    assert shuffled.differences.shape == (2, 4, outputs.rows.shape[-1])


@pytest.mark.parametrize("scope", ["table", "rows"])
def test_few_sweeps_claim_what_is_not_so(scope: str) -> None:
    """At most 5% are expected: of 100 sweeps 10 or more are, with 3%."""
    if scope == "table":
        draw = partial(numbers, seed=0, techniques=6, seeds=5, null="this table", rows=150)
    else:
        draw = partial(ridge, seed=0, techniques=6, seeds=10, rows=60)
    found = errors(draw(number) for number in range(100))
    assert found[scope].mean() < 0.1
    if scope == "rows":  # the simulation sees where a test does not mind that rows are shared
        assert found["table"].mean() > 0.1


def test_an_effect_is_found_by_who_knows_the_variance_as_often_as_it_says() -> None:
    """80%, or more by the later steps of Holm's correction, of which one technique has none."""
    draw = partial(numbers, seed=0, techniques=1, seeds=3, null="this table", rows=50)
    sweeps = [draw(number) for number in range(400)]
    deviation = np.sqrt(np.mean([sweep.means**2 for sweep in sweeps], axis=0))
    found = powers(sweeps, deviation)
    assert found["known"].mean() == pytest.approx(0.8, abs=4 * 0.02)
    assert judged(sweeps[0].better(0, 100.0)).table[0] < 0.05


def test_the_error_of_a_share_minds_tables_that_take_turns() -> None:
    assert with_error(np.zeros(96)) == "0.0 ± 1.4"
    independent, same = np.tile([1.0, 0.0], 50), np.repeat([1.0, 0.0], 50)
    assert with_error(independent) == with_error(same) == "50.0 ± 4.9"
    assert with_error(independent, tables=2) == "50.0 ± 50.0"
