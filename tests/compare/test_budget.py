"""Expected validation performance, against every subset of small searches and against scipy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

from regexp.compare.budget import BAND, best_of, expected_validation


@pytest.mark.parametrize(
    "values",
    [
        [0.3],
        [0.5, 0.1],
        [0.2, 0.9, 0.4, 0.9, 0.1, 0.6],
        [1.0, 1.0, 1.0],
        [-3.0, 2.0, 0.0, 7.5, 7.4],
    ],
)
def test_the_best_of_n_against_all_subsets(values: list[float]) -> None:
    for n, (value, low, high) in enumerate(best_of(np.array(values)), start=1):
        best = sorted(max(subset) for subset in itertools.combinations(values, n))
        assert value == pytest.approx(np.mean(best), abs=1e-12)
        for share, found in zip(BAND, (low, high), strict=True):
            quantile = best[math.ceil(share * len(best) - 1e-9) - 1]
            outside = min if share < 0.5 else max
            assert found == pytest.approx(outside(quantile, np.mean(best)), abs=1e-12)


def test_one_is_the_mean_and_all_is_the_largest() -> None:
    values = np.random.default_rng(0).normal(size=40)
    points = list(best_of(values))
    assert points[0][0] == pytest.approx(values.mean())
    assert points[-1] == (values.max(),) * 3
    assert np.all(np.diff([value for value, _, _ in points]) > 0)
    assert all(low <= value <= high for value, low, high in points)


def test_a_thousand_configurations_against_logarithms_of_factorials() -> None:
    values = np.sort(np.random.default_rng(1).normal(size=1000))
    i = np.arange(1, 1001)

    def log_choose(a: Any, b: Any) -> Any:
        return gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1)

    points = list(best_of(values))
    assert np.isfinite(points).all()
    for n in (1, 2, 31, 500, 999, 1000):
        with np.errstate(invalid="ignore"):
            weights = np.where(i >= n, np.exp(log_choose(i - 1, n - 1) - log_choose(1000, n)), 0)
        assert points[n - 1][0] == pytest.approx(weights @ values, abs=1e-9)


def test_it_is_unbiased_where_drawing_with_replacement_is_not() -> None:
    """Of 6 uniform numbers the best of 4 is 4/5 on average."""
    rng = np.random.default_rng(2)
    found = [list(best_of(rng.uniform(size=6)))[3][0] for _ in range(4000)]
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found) - 0.8) < 4 * error
    places = np.arange(1, 7) / 6  # of Dodge et al.: P(best <= v_(i)) = (i / N)^n
    dodge = [
        np.diff(np.r_[0, places**4]) @ np.sort(rng.uniform(size=6)) for _ in range(4000)
    ]  # fmt: skip
    assert np.mean(dodge) < 0.8 - 10 * error


def trial(
    technique: str, variant: str, value: float, seed: int = 10, **other: Any
) -> dict[str, Any]:
    return {
        "dataset": "d", "setting": "", "technique": technique, "variant": variant, "seed": seed,
        "status": "FINISHED", "start_time": 0, "metrics.final/val_accuracy": value, **other,
    }  # fmt: skip


def evp(rows: list[dict[str, Any]], *, lower: bool = False) -> dict[str, list[float]]:
    frame = expected_validation(pd.DataFrame(rows), "final/val_accuracy", lower)
    return {
        str(label): part["value"].tolist() for label, part in frame.groupby("label", sort=False)
    }


def test_configurations_are_averaged_over_their_seeds_first() -> None:
    rows = [trial("l1", "a", 0.2, 10), trial("l1", "a", 0.4, 11), trial("l1", "b", 0.6, 10),
            trial("l1", "b", 0.6, 11)]  # fmt: skip
    assert evp(rows)["l1"] == pytest.approx([0.45, 0.6])
    assert evp(rows, lower=True)["l1"] == pytest.approx([0.45, 0.3])


def test_what_diverged_counts_as_the_worst_of_the_family() -> None:
    failed: dict[str, Any] = {"status": "FAILED"}
    rows = [trial("none", "", 0.1), trial("l1", "a", 0.5), trial("l1", "b", math.nan, **failed),
            trial("l2", "a", math.nan, **failed)]  # fmt: skip
    found = evp(rows)
    assert found["l1"] == pytest.approx([0.3, 0.5])
    assert "l2" not in found
    one_of_two = [
        trial("l1", "a", 0.5),
        trial("l1", "b", 0.4),
        trial("l1", "b", math.nan, 11, **failed),
    ]
    assert evp(one_of_two, lower=True)["l1"] == pytest.approx([0.5, 0.5])


def test_trials_that_were_broken_off_or_tried_again_count_once() -> None:
    rows = [trial("l1", "a", math.nan, status="FAILED"), trial("l1", "a", 0.4, start_time=1),
            trial("l1", "b", math.nan, status="KILLED"), trial("l1", "c", 0.2)]  # fmt: skip
    assert evp(rows)["l1"] == pytest.approx([0.3, 0.4])


def test_a_technique_with_fewer_configurations_goes_on_level() -> None:
    rows = [trial("none", "", 0.7), *(trial("l1", str(n), n / 10) for n in range(5))]
    assert evp(rows)["none"] == [0.7] * 5


def test_errors_are_mirrored_and_families_are_apart() -> None:
    rng = np.random.default_rng(3)
    rows = [
        trial("l1", str(n), float(v), dataset=d)
        for d in "ab"
        for n, v in enumerate(rng.normal(size=7))
    ]
    frame = expected_validation(pd.DataFrame(rows), "final/val_accuracy", lower_is_better=True)
    for dataset, part in frame.groupby("dataset"):
        own = np.array(
            [row["metrics.final/val_accuracy"] for row in rows if row["dataset"] == dataset]
        )
        assert part["value"].to_numpy() == pytest.approx([-value for value, _, _ in best_of(-own)])
        assert (part["low"] <= part["high"]).all()
        assert part["value"].iloc[-1] == own.min()
    assert expected_validation(pd.DataFrame(rows[:0], columns=list(rows[0])), "x", True).empty
