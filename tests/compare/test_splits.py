"""Which test fits is read from what runs tell of their split."""

from typing import Any

import pandas as pd
import pytest

from regexp.compare.splits import design, one_split, overlap, same_test

SHARES = {"params.dataset.test": "0.2", "params.dataset.validation": "0.3"}
RATIO = 0.2 / 0.5
DEFAULT = 0.2 / 0.6


def of(*runs: dict[str, Any]) -> tuple[float | None, list[str]]:
    return overlap(pd.DataFrame([{"run_id": "a", **run} for run in runs]))


@pytest.mark.parametrize(
    ("run", "ratio"),
    [
        ({"split": "seed", "params.dataset.split_seed": "3"}, RATIO),
        ({"split": "shared", "params.dataset.split_seed": "null"}, None),
        ({"split": "", "params.dataset.split_seed": "3"}, None),
        ({"split": "", "params.dataset.split_seed": "null"}, RATIO),
        ({"split": "", "params.dataset.split_seed": "None"}, RATIO),
        ({"split": "", "params.dataset.split_seed": float("nan")}, RATIO),
        ({}, RATIO),
    ],
)
def test_the_tag_decides_and_else_the_parameter(run: dict[str, Any], ratio: float | None) -> None:
    found, remarks = of({**SHARES, **run})
    assert found == pytest.approx(ratio) if ratio else found is None
    assert not remarks


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"params.dataset.test": "0.2"},
        {"params.dataset.test": "0.6", "params.dataset.validation": "0.5"},
        {"params.dataset.test": "nan", "params.dataset.validation": "0.5"},
        {"params.dataset.test": "-0.1", "params.dataset.validation": "0.5"},
        {"params.dataset.test": "many", "params.dataset.validation": "0.5"},
    ],
)
def test_shares_that_are_not_told_are_those_of_the_datasets(shares: dict[str, str]) -> None:
    found, remarks = of({"split": "seed", **shares})
    assert found == pytest.approx(DEFAULT)
    assert len(remarks) == 1
    assert "20% each" in remarks[0]


def test_the_largest_overlap_counts() -> None:
    other = {"params.dataset.test": "0.4", "params.dataset.validation": "0.1"}
    found, _ = of({"split": "seed", **SHARES}, {"split": "seed", **other})
    assert found == pytest.approx(0.4 / 0.5)


def test_splits_of_both_kinds_are_told() -> None:
    found, remarks = of({"split": "seed", **SHARES}, {"split": "shared", **SHARES})
    assert found == pytest.approx(RATIO)
    assert "differ in more than the technique" in remarks[0]


@pytest.mark.parametrize(
    ("told", "tested", "expected"),
    [
        ({}, 200, (1000, 500, 300)),
        ({"params.dataset.train_size": "100"}, 200, (1000, 100, 300)),
        ({"params.dataset.train_size": "null"}, 200, (1000, 500, 300)),
        ({"params.dataset.train_size": "100", "params.dataset.test_rest": "false"},
         200, (1000, 100, 300)),
        ({"params.dataset.train_size": "100", "params.dataset.test_rest": "true"},
         600, (1000, 100, 300)),
    ],
)  # fmt: skip
def test_the_rows_of_a_design_are_those_of_the_split(
    told: dict[str, str], tested: int, expected: tuple[int, int, int]
) -> None:
    runs = pd.DataFrame([{"run_id": "a", **SHARES, **told}])
    found = design(runs, tested, one_split=False, same_rows=False)
    assert (found.pool, found.training, found.validation) == pytest.approx(expected)
    assert not found.one_split
    assert not found.serial


def test_of_test_rows_that_are_always_the_same_the_shares_of_the_others_count() -> None:
    runs = pd.DataFrame([{"run_id": "a", **SHARES}])
    found = design(runs, 200, one_split=False, same_rows=True)
    # how many they are no share of the test rows tells
    runs["training.rows"] = "56"
    assert design(runs, 200, one_split=False, same_rows=True).pool == pytest.approx(80)
    assert found.training / found.pool == pytest.approx(0.7)
    assert found.training <= 1  # nothing is known, and no bound follows from it
    runs["params.dataset.train_size"] = "50"
    runs["params.dataset.test_rest"] = "true"  # there is no rest where test rows are told
    runs["training.rows"] = "50"
    found = design(runs, 200, one_split=False, same_rows=True)
    assert (found.pool, found.training) == (50, 50)  # not more is known to be there


HELD = {"split": "seed", "params.dataset.test_seed": "0"}


def test_of_a_test_seed_the_pool_is_of_the_other_rows() -> None:
    runs = pd.DataFrame([{"run_id": "a", **SHARES, **HELD}])
    assert same_test(runs)
    assert not one_split(runs)
    assert overlap(runs) == (None, [])
    found = design(runs, 200, one_split=False, same_rows=True)
    assert (found.pool, found.training, found.validation) == pytest.approx((800, 500, 300))
    runs["params.dataset.train_size"] = "100"
    runs["params.dataset.test_rest"] = "true"
    found = design(runs, 200, one_split=False, same_rows=True)
    assert (found.pool, found.training, found.validation) == pytest.approx((800, 100, 300))


@pytest.mark.parametrize("other", ["1", "null", ""])
def test_runs_that_do_not_all_have_the_test_seed_are_split_by_seed(other: str) -> None:
    runs = pd.DataFrame([{**SHARES, **HELD}, {**SHARES, **HELD, "params.dataset.test_seed": other}])
    assert not same_test(runs)
    assert overlap(runs)[0] == pytest.approx(RATIO)


@pytest.mark.parametrize(("one_split", "same_rows"), [(True, True), (False, True), (False, False)])
def test_rows_of_a_group_are_no_independent_rows_where_the_groups_stay(
    one_split: bool, same_rows: bool
) -> None:
    runs = pd.DataFrame([{"run_id": "a", **SHARES, "params.dataset.group": "patient"}])
    found = design(runs, 200, one_split=one_split, same_rows=same_rows)
    assert found.serial == same_rows


def test_windows_of_a_series_are_one_series() -> None:
    runs = pd.DataFrame([{"run_id": "a", **SHARES, "params.dataset.horizon": "1"}])
    found = design(runs, 200, one_split=True, same_rows=True)
    assert found.serial
    assert found.one_split
