"""Levels of repeated looks, held against published tables and against simulations."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr

from regexp.compare.sequential import (
    Look,
    boundaries,
    conditional_power,
    information,
    level,
    planned,
    spending,
    standings,
    unplanned,
)
from regexp.compare.statistics import ALPHA, holm

FIFTHS = [0.2, 0.4, 0.6, 0.8, 1.0]
SIMULATED = 100_000


def statistics(times: list[float], runs: int = SIMULATED) -> NDArray[np.float64]:
    """z of Brownian motions without a drift, [runs, times]."""
    steps = np.sqrt(np.diff([0.0, *times]))
    walks = np.cumsum(np.random.default_rng(0).standard_normal((runs, len(times))) * steps, axis=1)
    return np.asarray(walks / np.sqrt(times))


def test_boundaries_of_obrien_flemings_type_are_those_of_the_tables() -> None:
    """Five equal looks, two-sided .05: gsDesign's sfLDOF, and Jennison and Turnbull's tables."""
    found = boundaries(FIFTHS, spending(FIFTHS, ALPHA).tolist())
    assert found == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=6e-4)


def test_boundaries_of_pococks_type_are_those_of_the_tables() -> None:
    """The same looks with alpha log(1 + (e - 1) t): gsDesign's sfLDPocock."""
    spent = ALPHA * np.log(1 + (np.e - 1) * np.array(FIFTHS))
    found = boundaries(FIFTHS, spent.tolist())
    assert found == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=6e-4)


def test_one_look_is_an_ordinary_test() -> None:
    assert boundaries([1.0], [ALPHA]) == pytest.approx([1.959964])
    assert level([Look(7, ALPHA)], family=12) == pytest.approx(ALPHA)


@pytest.mark.parametrize("times", [FIFTHS, [0.1, 0.11, 0.5, 0.97, 1.0]], ids=["equal", "crowded"])
def test_looks_at_any_times_spend_what_they_may(times: list[float]) -> None:
    spent = np.linspace(0.01, ALPHA, len(times))
    crossed = np.abs(statistics(times)) >= boundaries(times, spent.tolist())
    found = np.maximum.accumulate(crossed, axis=1).mean(0)
    assert found == pytest.approx(spent, abs=4 * np.sqrt(ALPHA / SIMULATED))


def test_a_look_with_nothing_to_spend_rejects_nothing() -> None:
    first, second, third = boundaries([0.3, 0.6, 1.0], [0.02, 0.02, ALPHA])
    assert second == np.inf
    assert first < 3
    assert third < 3
    assert level([Look(3, ALPHA), Look(6, 0.0)], family=2) == 0


@pytest.mark.parametrize("family", [1, 8])
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_a_family_makes_a_false_claim_at_any_look_as_seldom_as_at_one(
    family: int, shared: float
) -> None:
    """Techniques that share a baseline; looked at again and again at 5% they claim too much."""
    looks = planned(20, 20, ALPHA)
    times = [look.seeds / 20 for look in looks]
    runs = 20_000 // family
    z = statistics(times, runs * (family + 1)).reshape(runs, family + 1, len(times))
    z = np.sqrt(1 - shared) * z[:, 1:] + np.sqrt(shared) * z[:, :1]
    p = 2 * ndtr(-np.abs(z))
    least = np.array([[holm(p[run, :, at]).min() for at in range(5)] for run in range(runs)])
    levels = [level(looks[: at + 1], family) for at in range(5)]
    noise = np.sqrt(ALPHA / runs)
    assert (least < levels).any(1).mean() < ALPHA + 3 * noise
    assert (least < ALPHA).any(1).mean() > ALPHA + 3 * noise


def test_seeds_added_by_hand_leave_the_error_at_five_percent() -> None:
    """10 seeds, and 20 where nothing was found: without a memory that is 8%."""
    first = unplanned([], 10, ALPHA)
    second = unplanned(first, 20, ALPHA)
    z = np.abs(statistics([0.5, 1.0]))
    p = 2 * ndtr(-z)
    claims = (p[:, 0] < level(first, 1)) | (p[:, 1] < level(second, 1))
    assert claims.mean() == pytest.approx(0.0495, abs=0.003)
    assert (p < ALPHA).any(1).mean() > 0.075


def test_all_looks_together_spend_the_error_and_no_more() -> None:
    looks: list[Look] = []
    for seeds in (10, 12, 6, 40, 12):
        looks += [unplanned(looks, seeds, ALPHA)[-1]]
    assert looks[1] == looks[4], "the same seeds again are no further look"
    spent = sum(look.spends for look in set(looks))
    assert 0.9 * ALPHA < spent < ALPHA
    assert sum(look.spends for look in planned(20, 20, ALPHA)) == pytest.approx(ALPHA)
    assert sum(look.spends for look in planned(40, 40, ALPHA, looks)) == pytest.approx(ALPHA)


def test_a_plan_is_the_same_with_what_it_recorded_itself() -> None:
    for before, now in pairwise((4, 8, 12, 16, 20)):
        assert planned(20, now, ALPHA, planned(20, before, ALPHA)) == planned(20, now, ALPHA)
    assert planned(20, 8, ALPHA, planned(20, 20, ALPHA)) == planned(20, 8, ALPHA)


def test_a_plan_spends_what_looks_before_it_have_left() -> None:
    late = planned(20, 20, ALPHA, [Look(3, 0.045)])
    assert [look.seeds for look in late] == [3, 4, 8, 12, 16, 20]
    assert level(late[:4], 1) == 0, "O'Brien and Fleming's plan comes to 4.5% after 16 seeds"
    assert 0 < level(late, 1) < level(planned(20, 20, ALPHA), 1)


def test_failed_runs_do_not_shift_the_looks() -> None:
    assert planned(20, 7, ALPHA) == planned(20, 8, ALPHA)
    assert [look.seeds for look in planned(10, 9, ALPHA)] == [4, 8, 10]


def test_conditional_power_is_that_of_simulated_endings() -> None:
    z, time, critical = 1.2, 0.4, 2.5
    drift = (z + 1) / np.sqrt(time)
    rest = np.random.default_rng(1).standard_normal(SIMULATED) * np.sqrt(1 - time)
    ends = z * np.sqrt(time) + drift * (1 - time) + rest
    assert conditional_power(-z, time, critical) == pytest.approx(
        (ends > critical).mean(), abs=6e-3
    )


def test_information_is_the_share_of_the_last_variance() -> None:
    assert information(8, 20) == pytest.approx(0.4)
    assert information(8, 20, ratio=0.1) == pytest.approx((1 / 20 + 0.1) / (1 / 8 + 0.1))
    assert information(20, 20, ratio=0.3) == 1


def test_a_comparison_is_decided_hopeless_open_or_has_nothing_to_test() -> None:
    p = [1e-6, 0.95, 0.02, np.nan]
    found = standings(p, holm(p), [0.4] * 4, now=0.0008, last=0.04, family=3)
    assert found == ["decided", "hopeless", "open", "unknown"]
