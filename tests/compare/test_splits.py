"""Which test fits is read from what runs tell of their split."""

from typing import Any

import pandas as pd
import pytest

from regexp.compare.splits import overlap

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
