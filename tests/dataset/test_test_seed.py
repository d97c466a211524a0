"""Test rows that all seeds share, while each splits the other rows: held against plain splits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from regexp.errors import ConfigError
from tests.dataset.made import make
from tests.dataset.test_held_out import TESTED, held_out
from tests.dataset.test_splitting import SEEDS, assert_whole, made, splitter

TRAIN, VALIDATION, TEST = range(3)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_test_rows_are_those_of_that_seed_and_the_others_are_split_anew(
    task: str, balanced: bool
) -> None:
    _, classes = made(203, 5)
    plain = splitter(np.arange(203), classes if task == "classification" else None,
                     balanced=balanced)  # fmt: skip
    asked = replace(plain, test_seed=3)
    tested = plain.split(3)[TEST]
    found = [asked.split(seed) for seed in SEEDS]
    for seed, splits in zip(SEEDS, found, strict=True):
        assert np.array_equal(splits[TEST], tested)
        assert sorted(np.concatenate(splits)) == list(range(203))
        sizes = np.array([*map(len, splits)]) - [*map(len, plain.split(seed))]
        assert abs(sizes).max() <= 1
        assert asked.training_rows(seed) == len(splits[TRAIN])
    assert len({tuple(sorted(splits[VALIDATION])) for splits in found}) == len(SEEDS)
    if balanced:  # four folds of the others: a block validates with each row once at most
        for first in range(0, 20, 4):
            block = np.concatenate([found[seed][VALIDATION] for seed in range(first, first + 4)])
            assert len(set(block)) == len(block) >= 160


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("of", ["groups", "inputs"])
def test_rows_that_belong_together_are_not_torn(of: str, balanced: bool) -> None:
    units, classes = made(300, 90)
    if of == "groups":
        whole = splitter(np.arange(300), classes, groups=units, balanced=balanced)
    else:
        whole = splitter(units, classes, balanced=balanced)
    asked = replace(whole, test_seed=0)
    for seed in range(6):
        assert_whole(asked.split(seed), units)
        assert np.array_equal(asked.split(seed)[TEST], whole.split(0)[TEST])
        assert asked.training_rows(seed) == len(asked.split(seed)[TRAIN])


def test_no_row_that_a_train_size_leaves_is_tested() -> None:
    """Another run trains on it."""
    _, classes = made(200, 5)
    for balanced in (True, False):
        plain = splitter(np.arange(200), classes, train_size=30, test_rest=True, balanced=balanced)
        few = replace(plain, test_seed=0)
        whole = replace(few, train_size=None)
        for seed in range(5):
            assert np.array_equal(few.split(seed)[TEST], whole.split(seed)[TEST])
            assert len(few.split(seed)[TEST]) == 40 < len(plain.split(seed)[TEST])
            assert set(few.split(seed)[TRAIN]) < set(whole.split(seed)[TRAIN])


@pytest.mark.parametrize("seed", [0, 4])
def test_a_split_seed_says_how_the_others_are_split(tmp_path: Any, seed: int) -> None:
    same = make("iris", split_seed=seed, test_seed=2)
    fresh = make("iris", test_seed=2)
    ours, theirs = same.load(9, tmp_path), fresh.load(seed, tmp_path)
    for name in ("train", "validation", "test"):
        assert np.array_equal(getattr(ours, name).rows, getattr(theirs, name).rows)
    assert np.array_equal(ours.test.rows, make("iris").load(2, tmp_path).test.rows)
    assert ours.shared_split
    assert not theirs.shared_split


def test_it_changes_nothing_where_the_data_tell_the_test_rows(tmp_path: Any) -> None:
    asked, plain = held_out(test_seed=5).load(1, tmp_path), held_out().load(1, tmp_path)
    assert asked.test.rows is TESTED
    for name in ("train", "validation"):
        assert np.array_equal(getattr(asked, name).rows, getattr(plain, name).rows)


def test_a_series_has_no_such_rows(tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=r"dataset.test_seed: a series is split by time"):
        make("series", test_seed=0)
