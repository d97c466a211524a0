"""Balanced splits: what seeds share is counted row by row, classes are held against k-fold's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from regexp.dataset.data import Splits
from regexp.dataset.splitting import Splitter
from tests.dataset.made import config_of
from tests.dataset.test_held_out import TESTED, held_out
from tests.dataset.test_held_out import rows as rows_of
from tests.dataset.test_splitting import assert_whole, made, splitter

TRAIN, VALIDATION, TEST = range(3)


def balanced(inputs: NDArray[Any], *args: Any, **settings: Any) -> Splitter:
    return splitter(inputs, *args, balanced=True, **settings)


def uses(splits: Sequence[Splits], which: int, rows: int) -> NDArray[np.int64]:
    """In how many of the splits each row is, [rows]."""
    return np.bincount(np.concatenate([each[which] for each in splits]), minlength=rows)


def same(first: Splits, other: Splits) -> bool:
    return all(map(np.array_equal, first, other))


@settings(max_examples=30)
@given(
    st.integers(60, 400), st.sampled_from([0.1, 0.15, 0.2, 0.3, 0.5]),
    st.sampled_from([0.1, 0.2, 0.25, 0.4]), st.integers(0, 3), st.data(),
)  # fmt: skip
def test_seeds_of_a_block_share_as_few_rows_as_they_can(rows, test, validation, block, data):
    """Every row is used as often as any other, but for the few that are in no fold."""
    count = min(5, int(1 / test + 1e-9))
    fold = rows // count
    most = rows - round(test * rows) - round(validation * rows) - 5
    size = data.draw(st.integers(1, most))
    asked = balanced(np.arange(rows), validation=validation, test=test, train_size=size)
    if asked.folds is None:  # a part of a fold without a row
        assert min(fold, round(test * rows), round(validation * rows)) < 4
        return
    splits = [asked.split(count * block + place) for place in range(count)]
    for which, share in ((TRAIN, size / rows), (VALIDATION, validation), (TEST, test)):
        lengths = {len(each[which]) for each in splits}
        assert len(lengths) == 1
        [length] = lengths
        assert abs(length - share * rows) <= 1.5
        often = uses(splits, which, rows)
        assert often.max() == -(-length // fold)
        assert (often < often.max() - 1).sum() <= rows % count
    assert len(splits[0][TRAIN]) == size
    for train, held, tested in splits:
        assert len(np.unique(np.concatenate([train, held, tested]))) == size + len(held) + len(
            tested
        )


@settings(max_examples=20)
@given(st.lists(st.integers(5, 60), min_size=2, max_size=6), st.integers(0, 9))
def test_folds_have_the_classes_of_stratified_k_fold(frequencies, seed):
    """Of each class the whole number below or above its fifth."""
    classes = np.random.default_rng(seed).permutation(
        np.repeat(np.arange(len(frequencies)), frequencies)
    )
    asked = balanced(np.arange(len(classes)), classes)
    assert asked.folds is not None
    for number in range(5 * seed, 5 * seed + 5):
        train, *folds = asked.split(number)
        for rows in folds:
            for label, rows_in_all in enumerate(frequencies):
                of_class = int((classes[rows] == label).sum())
                assert rows_in_all // 5 <= of_class <= -(-rows_in_all // 5)
        assert sorted(np.concatenate([train, *folds])) == list(range(len(classes)))


def test_subsets_are_stratified_and_validation_and_test_split_the_same_for_every_size():
    _, classes = made(500, 9)
    whole = balanced(np.arange(500), classes)
    for seed in range(6):
        train, validation, test = whole.split(seed)
        for size in (50, 100, 230, 300):
            few = replace(whole, train_size=size).split(seed)
            assert np.array_equal(few[VALIDATION], validation)
            assert np.array_equal(few[TEST], test)
            assert len(few[TRAIN]) == size
            assert set(few[TRAIN]) <= set(train)
            expected = np.bincount(classes) / 500 * size
            assert abs(np.bincount(classes[few[TRAIN]]) - expected).max() <= 2


def test_a_split_depends_on_its_seed_alone():
    inputs, classes = made(300, 200)
    asked = {"train_size": 40, "test_rest": True}
    together = balanced(inputs, classes, **asked)
    in_turn = [together.split(seed) for seed in range(7)]
    for seed in (6, 0, 3):
        assert same(balanced(inputs, classes, **asked).split(seed), in_turn[seed])
    assert not same(in_turn[0], in_turn[5])
    # another block has other folds, not the same ones in another order
    tests = [set(each[TEST]) for each in in_turn]
    assert all(tests[5] != test and tests[6] != test for test in tests[:5])


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("size", [None, 100, 300])
def test_no_unit_is_torn_nor_tested_twice_in_a_block(size, task):
    """Groups joined to repeats; rest rows stay clear of the groups of training rows."""
    inputs, classes = made(900, 500)
    groups = np.random.default_rng(1).integers(0, 400, 900)
    asked = balanced(
        inputs, classes if task == "classification" else None, groups,
        train_size=size, together=False, test_rest=True,
    )  # fmt: skip
    assert asked.folds is not None
    whole = replace(asked, train_size=None)
    tests = [whole.split(seed)[TEST] for seed in range(5)]
    assert uses([whole.split(seed) for seed in range(5)], TEST, 900).max() == 1
    assert sum(map(len, tests)) == 900
    for seed in range(5):
        assert_whole(whole.split(seed), groups)
        assert abs(len(tests[seed]) - 180) <= 2
        train, validation, tested = asked.split(seed)
        assert len(train) == (size or len(whole.split(seed)[TRAIN]))
        units = [set(groups[rows]) for rows in (train, validation, tested)]
        assert not units[0] & units[1]
        assert not units[2] & (units[0] | units[1])


def test_seeds_have_splits_of_one_size_where_rows_repeat_others():
    """So that they train as one stack: also of what a training subset leaves for the test."""
    inputs, classes = made(900, 500)
    for size in (None, 60, 400):
        asked = balanced(inputs, classes, train_size=size, test_rest=True)
        assert len({tuple(map(len, asked.split(seed))) for seed in range(10)}) == 1
        assert {asked.training_rows(seed) for seed in range(5)} == {len(asked.split(0)[TRAIN])}


@pytest.mark.parametrize(
    "shares", [(0.1, 0.1), (0.05, 0.15), (0.15, 0.05), (0.12, 0.08), (0.1, 0.3), (0.15, 0.25)]
)
def test_two_shares_that_are_folds_together_make_folds_of_any_number_of_rows(
    shares: tuple[float, float],
) -> None:
    test, validation = shares
    for rows in range(190, 240):
        classes = np.arange(rows) % 3
        asked = balanced(np.arange(rows), classes, test=test, validation=validation)
        splits = [asked.split(seed) for seed in range(5)]
        assert uses(splits, TEST, rows).max() == 1
        assert all(abs(len(one[TEST]) - test * rows) <= 1.5 for one in splits)
        assert all(abs(len(one[VALIDATION]) - validation * rows) <= 4 for one in splits)
        assert all(set(classes[rows]) == {0, 1, 2} for one in splits for rows in one)


def test_training_rows_are_counted_without_splitting():
    for rows in (100, 103, 157):
        for shares in ({}, {"test": 0.1}, {"validation": 0.35}, {"test": 0.6}):
            asked = balanced(np.arange(rows), **shares)
            assert asked.training_rows(3) == len(asked.split(3)[TRAIN])


@pytest.mark.parametrize(
    ("inputs", "classes", "groups", "shares"),
    [
        (np.arange(100), np.repeat([0, 1], [96, 4]), None, {}),  # fewer rows than folds
        (np.arange(100), np.repeat([0, 1], [90, 10]), None, {"test": 0.05}),
        (np.arange(100), None, np.arange(100) // 10, {}),  # a group of half a fold
        (np.arange(100), None, None, {"test": 0.6}),
        (np.arange(4), None, None, {"test": 0.3, "validation": 0.3}),
    ],
)
def test_rows_that_make_no_folds_are_split_by_each_seed_for_itself(inputs, classes, groups, shares):
    asked = balanced(inputs, classes, groups, **shares)
    assert asked.folds is None
    alone = replace(asked, balanced=False)
    outcomes: list[Any] = []
    for each in (asked, alone):
        try:
            outcomes.append([rows.tolist() for rows in each.split(2)])
        except ValueError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("resampling", ["balanced", "independent"])
def test_every_row_for_training_is_trained_on_or_tested(resampling):
    _, classes = made(300, 9)
    few = splitter(np.arange(300), classes, train_size=40, balanced=resampling == "balanced")
    for seed in range(5):
        train, validation, test = few.split(seed)
        ours = replace(few, test_rest=True).split(seed)
        assert np.array_equal(ours[TRAIN], train)
        assert np.array_equal(ours[VALIDATION], validation)
        assert np.array_equal(ours[TEST][: len(test)], test)
        assert sorted(np.concatenate(ours)) == list(range(300))
        all_of_them = replace(few, test_rest=True, train_size=None).split(seed)
        assert same(all_of_them, replace(few, train_size=None).split(seed))


def test_independent_seeds_leave_the_units_of_training_rows_out_of_the_test():
    inputs, _ = made(300, 100)
    train, validation, test = splitter(inputs, train_size=40, test_rest=True).split(0)
    assert set(inputs[train]) & set(np.delete(inputs, np.concatenate([train, validation])))
    assert len(test) > 60
    assert not set(inputs[test]) & set(inputs[np.concatenate([train, validation])])


def test_a_test_split_that_the_data_tell_stays_and_validation_splits_share_no_row(tmp_path):
    asked = held_out(resampling="balanced", test_rest=True, train_size=12)
    loaded = [asked.load(seed, tmp_path) for seed in range(5)]
    assert all(rows_of(data, "test") == TESTED.tolist() for data in loaded)
    train, validation = ([row for data in loaded for row in rows_of(data, split)] for split in
                         ("train", "validation"))  # fmt: skip
    assert sorted(validation) == sorted(set(range(100)) - set(TESTED.tolist()))
    assert len(set(train)) == len(train) == 60


def test_splits_that_a_column_tells_stay():
    told = balanced(np.arange(90), np.arange(90) % 3, train_size=20, test_rest=True)
    thirds = (np.arange(30), np.arange(30, 60), np.arange(60, 90))
    told = replace(told, table=replace(told.table, splits=thirds))
    train, validation, test = told.split(3)
    assert set(train) < set(range(30))
    assert np.array_equal(validation, thirds[1])
    assert np.array_equal(test, thirds[2])
    old = replace(told, balanced=False, test_rest=False)
    assert same(old.split(3), (train, validation, test))


def test_labels_of_rest_rows_are_right(tmp_path):
    """Noise is for rows that are trained or validated on."""
    from regexp.dataset.bundled import Iris

    given = {key: value for key, value in config_of("iris").items() if key != "_target_"}
    noisy = Iris(**given | {"train_size": 30, "label_noise": 0.5}).load(0, tmp_path)
    clean = np.repeat([0, 1, 2], 50)
    assert len(noisy.test) > 30
    for split, wrong in ((noisy.train, 15), (noisy.validation, 15), (noisy.test, 0)):
        assert (split.targets.numpy() != clean[split.rows]).sum() == wrong
