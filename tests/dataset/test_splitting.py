"""Splits that tear no unit, against scikit-learn's splits: equal rows, groups, and their sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, train_test_split

from regexp.dataset.data import DataError, Splits, Table
from regexp.dataset.splitting import Splitter
from regexp.dataset.units import first_of
from regexp.random import derive

SEEDS = range(20)


def splitter(
    inputs: NDArray[Any],
    classes: NDArray[Any] | None = None,
    groups: NDArray[Any] | None = None,
    **settings: Any,
) -> Splitter:
    """Of rows with these inputs, [rows]; without classes a regression of row numbers."""
    rows = len(inputs)
    named = () if classes is None else tuple("abcdef"[: classes.max() + 1])
    table = Table(
        inputs=np.asarray(inputs, dtype=float)[:, None],
        targets=np.arange(rows, dtype=float)[:, None] if classes is None else classes,
        columns=("x",), classes=named, checksum="", source="made.csv", groups=groups,
        task="regression" if classes is None else "classification",
    )  # fmt: skip
    shares = {"validation": 0.2, "test": 0.2, "train_size": None, "together": True}
    return Splitter(table, "made", **shares | settings)


def test_values_that_do_not_vary_in_the_training_split_are_refused() -> None:
    """As of rare amounts: such seeds would have the target's own unit, others its spread."""
    values = np.zeros((300, 2))
    values[:15, 0] = np.arange(1, 16)
    values[:, 1] = np.arange(300)
    made = splitter(np.arange(300), train_size=20)
    for targets, which in ((values[:, :1], "0"), (values, "0 in column 1 of them")):
        given = replace(made, table=replace(made.table, targets=targets))
        told = []
        for seed in SEEDS:
            try:
                train, *_ = given.split(seed)
            except DataError as error:
                told.append(str(error))
            else:
                assert np.ptp(targets[train], axis=0).all()
        assert 0 < len(told) < len(SEEDS)
        for line in told:
            assert line.startswith("dataset.train_size=20: all 20 rows of the training split have")
            assert f"the target {which}, so" in line
            assert line.endswith("; raise dataset.train_size")


def by_sklearn(classes: NDArray[Any] | None, rows: int, seed: int) -> Splits:
    """Splits of 0.2 each that know of no units."""
    state = derive(seed, "split") % 2**32
    size = round(0.2 * rows)
    rest, test = train_test_split(
        np.arange(rows), test_size=size, stratify=classes, random_state=state
    )
    strata = None if classes is None else classes[rest]
    train, validation = train_test_split(rest, test_size=size, stratify=strata, random_state=state)
    return train, validation, test


def counts(splits: Splits, classes: NDArray[Any]) -> list[list[int]]:
    return [np.bincount(classes[rows], minlength=classes.max() + 1).tolist() for rows in splits]


def assert_whole(splits: Splits, units: NDArray[Any]) -> None:
    """Every row is in one split, and every unit."""
    assert sorted(np.concatenate(splits)) == list(range(len(units)))
    seen = [set(units[rows]) for rows in splits]
    assert not seen[0] & seen[1]
    assert not seen[0] & seen[2]
    assert not seen[1] & seen[2]


def made(rows: int, values: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs of which `values` differ, and classes of three frequencies."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, values, rows), rng.choice(3, rows, p=[0.6, 0.3, 0.1])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_rows_without_repeats_are_split_as_scikit_learn_does(seed, task):
    _, classes = made(200, 5)
    labels = classes if task == "classification" else None
    expected = by_sklearn(labels, 200, seed)
    for together in (True, False):
        found = splitter(np.arange(200), labels, together=together).split(seed)
        assert all(map(np.array_equal, found, expected))
    apart = splitter(np.zeros(200), labels, together=False).split(seed)
    assert all(map(np.array_equal, apart, expected))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("values", [3000, 500, 200])
def test_equal_rows_stay_together_at_the_sizes_and_classes_of_scikit_learn(values, task):
    """From few repeats to rows that nearly all have others like them."""
    inputs, classes = made(900, values)
    labels = classes if task == "classification" else None
    torn = 0
    for seed in SEEDS:
        expected = by_sklearn(labels, 900, seed)
        found = splitter(inputs, labels).split(seed)
        assert_whole(found, inputs)
        assert list(map(len, found)) == [540, 180, 180]
        if labels is not None:
            assert counts(found, classes) == counts(expected, classes)
        torn += len(set(inputs[expected[0]]) & set(inputs[expected[2]]))
    assert torn, "the test shows nothing"


def test_a_table_that_stands_twice_in_its_file_has_splits_of_one_size():
    _, classes = made(401, 9)
    inputs, classes = np.tile(np.arange(401), 2), np.tile(classes, 2)
    for seed in SEEDS:
        found = splitter(inputs, classes).split(seed)
        assert_whole(found, inputs)
        assert list(map(len, found)) == [482, 160, 160]
        expected = np.array(counts(by_sklearn(classes, 802, seed), classes))
        assert abs(np.array(counts(found, classes)) - expected).max() <= 2


def test_a_unit_is_in_the_test_split_as_often_as_any_row():
    """Means of 2,000 seeds within four standard errors of the share."""
    inputs = np.concatenate([np.arange(80), [90, 90], [91] * 3, [92] * 5])
    tests = [splitter(inputs).split(seed)[2] for seed in range(2000)]
    often = np.mean([np.isin(np.arange(90), rows) for rows in tests], axis=0)
    error = np.sqrt(0.2 * 0.8 / 2000)
    assert abs(often[[80, 82, 85]] - 0.2).max() < 4 * error
    assert abs(often[:80].mean() - 0.2) < error


@settings(max_examples=60)
@given(st.lists(st.integers(1, 9), min_size=12, max_size=40), st.integers(0, 5), st.data())
def test_no_unit_is_torn_whatever_their_sizes(sizes, seed, data):
    units = np.repeat(np.arange(len(sizes)), sizes)
    order = np.random.default_rng(seed).permutation(len(units))
    units = units[order]
    groups = units if data.draw(st.booleans()) else None
    inputs = np.arange(len(units)) if groups is not None else units
    found = splitter(inputs, groups=groups).split(seed)
    assert_whole(found, units)
    for rows, share in zip(found, (0.6, 0.2, 0.2), strict=True):
        assert abs(len(rows) - share * len(units)) <= max(sizes)


def test_validation_and_test_split_are_the_same_for_every_train_size():
    inputs, classes = made(900, 500)
    whole = splitter(inputs, classes).split(3)
    for size in (30, 300):
        few = splitter(inputs, classes, train_size=size).split(3)
        assert len(few[0]) == size
        assert set(few[0]) < set(whole[0])
        assert np.array_equal(few[1], whole[1])
        assert np.array_equal(few[2], whole[2])


def test_groups_have_the_shares_and_classes_that_they_allow():
    """40 groups of 5 to 25 rows, whose classes depend on the group: nearer than scikit-learn's."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), rng.integers(5, 26, 40))
    likely = rng.dirichlet([1, 1, 1], 40)
    classes = np.array([rng.choice(3, p=likely[group]) for group in groups])
    share = np.bincount(classes) / len(classes)

    def off(rows: NDArray[Any]) -> float:
        return float(abs(np.bincount(classes[rows], minlength=3) / len(rows) - share).max())

    tests, folds = [], []
    for seed in SEEDS:
        found = splitter(np.arange(len(groups)), classes, groups).split(seed)
        assert_whole(found, groups)
        for rows, part in zip(found, (0.6, 0.2, 0.2), strict=True):
            assert abs(len(rows) / len(groups) - part) < 0.02
            assert off(rows) < 0.06
        tests.append(off(found[2]))
        kfold = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
        folds += [off(rows) for _, rows in kfold.split(groups, classes, groups)]
    assert np.mean(tests) < np.mean(folds)


def test_equal_rows_join_their_groups_unless_they_may_be_apart():
    groups = np.repeat(np.arange(30), 4)
    inputs = np.arange(120)
    inputs[3] = inputs[4]  # of the groups 0 and 1
    one = splitter(inputs, groups=groups)
    for seed in SEEDS:
        assert_whole(one.split(seed), np.where(groups == 1, 0, groups))
    assert one.remarks() == (
        "made: 1 of 120 rows repeats the inputs of an earlier one; they join the 30 groups to 29; "
        "equal rows stay in one split (dataset.repeats=apart: anywhere).",
    )
    apart = splitter(inputs, groups=groups, together=False)
    assert apart.units is not None
    assert np.array_equal(apart.units, first_of(groups))


def test_repeats_are_counted_in_a_line():
    inputs = np.array([*range(1999), 5, 6, 6])
    assert splitter(inputs).remarks() == (
        "made: 3 of 2,002 rows repeat the inputs of an earlier one; equal rows stay in one split "
        "(dataset.repeats=apart: anywhere).",
    )
    assert splitter(inputs, together=False).remarks() == (
        "made: 3 of 2,002 rows repeat the inputs of an earlier one; equal rows may be in different "
        "splits (dataset.repeats=together: in one).",
    )
    assert splitter(np.arange(9)).remarks() == ()


def test_rows_that_are_not_compared_are_told():
    record = replace(splitter(np.zeros(9)).table, inputs=np.zeros(9, dtype=[("x", "f8")]))
    asked = replace(splitter(np.zeros(9)), table=record)
    assert asked.remarks() == (
        "made: rows are not compared where memory does not hold them; equal ones may be in "
        "different splits.",
    )
    assert replace(asked, together=False).remarks() == ()
    parted = replace(record, splits=(np.arange(3), np.arange(3, 6), np.arange(6, 9)))
    assert replace(asked, table=parted).remarks() == ()


@pytest.mark.parametrize(
    ("groups", "inputs", "cure"),
    [
        (np.repeat([0, 1, 2], [80, 10, 10]), np.arange(100), "more and smaller groups$"),
        (None, np.repeat([0, 1, 2], [80, 10, 10]), "; set dataset.repeats=apart"),
        (np.arange(100) // 5, np.zeros(100), "groups, or set dataset.repeats=apart"),
    ],
)
def test_units_that_are_too_large_are_told_with_a_cure(groups, inputs, cure):
    words = r"dataset\.\w+=0.2: the 100 rows of made.csv are \d+ sets? of rows that stay together.*"
    with pytest.raises(DataError, match=words + cure):
        splitter(inputs, groups=groups).split(0)


def test_a_class_whose_rows_all_stay_together_is_told():
    classes = np.repeat([0, 1], [90, 10])
    inputs = np.where(classes == 1, 200, np.arange(100))
    with pytest.raises(DataError, match=r"class 'b' .* 1 set of rows .*dataset.repeats=apart"):
        splitter(inputs, classes).split(0)


def test_a_class_that_few_training_rows_do_not_have_is_told_by_what_is_too_little():
    """Too few of an own split, and a split that has none of the class in all its training rows."""
    classes = np.arange(90) % 3
    thirds = (np.arange(30), np.arange(30, 60), np.arange(60, 90))
    for splits in (None, thirds):
        few = splitter(np.arange(90), classes, train_size=2)
        few = replace(few, table=replace(few.table, splits=splits))
        with pytest.raises(DataError, match=r"^dataset.train_size=2: .* raise dataset.train_size$"):
            few.split(0)
    sorted_ = replace(few, table=replace(few.table, targets=np.arange(90) // 30, splits=thirds))
    with pytest.raises(DataError, match=r"^made.csv: .* none of the 30 rows of the train split$"):
        sorted_.split(0)
