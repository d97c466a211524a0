"""A user's own groups and splits: held against the columns of the file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from regexp.dataset.base import DataError
from regexp.errors import ConfigError
from tests.dataset.made import make, write

WORDS = ("train", "Training ", "val", "TEST", "train", "valid", "dev", "validation", "test")


def lines(rows: int = 90) -> list[str]:
    """Rows of a number of their own, a patient with three rows, and a split."""
    body = [
        f"{row / 7},{row // 3 % 17},p{row // 3},{WORDS[row % len(WORDS)]},{'uv'[row % 2]}"
        for row in range(rows)
    ]
    return ["a,b,patient,part,y", *body]


def table(folder, content=None, **overrides):
    write(folder / "mine.csv", lines() if content is None else content)
    return make("table", **{"path": "mine.csv", "target": "y", "columns": ["a", "b"]} | overrides)


def test_a_group_stays_in_one_split_and_is_no_input(tmp_path):
    patients = pd.read_csv(write(tmp_path / "mine.csv", lines()))["patient"].to_numpy()
    dataset = table(tmp_path, columns=None, drop=["part"], group="patient")
    for seed in range(10):
        splits = dataset.split_rows(dataset.table_of(tmp_path), seed)
        found = [set(patients[rows]) for rows in splits]
        assert sum(map(len, found)) == len(set(patients)) == 30
        assert [len(rows) for rows in splits] == [54, 18, 18]
    assert dataset.load(0, tmp_path).features == ("a", "b")
    listed = table(tmp_path, columns=["a", "b"], group="b").load(0, tmp_path)
    assert listed.features == ("a", "b")


def test_groups_may_be_numbers_words_or_dates(tmp_path):
    expected = table(tmp_path, group="patient").load(0, tmp_path)
    frame = pd.read_csv(tmp_path / "mine.csv")
    number = frame["patient"].str[1:].astype(int)
    dates = pd.Timestamp("2020-01-01") + pd.to_timedelta(number, "D")
    blanks = frame["patient"] + pd.Series(["", " "] * (len(frame) // 2))  # which do not count
    for column in (number, number / 4, dates, blanks):
        frame.assign(patient=column).to_parquet(tmp_path / "mine.parquet")
        other = make("table", path="mine.parquet", target="y", columns=["a", "b"], group="patient")
        assert np.array_equal(other.load(0, tmp_path).test.inputs, expected.test.inputs)


@pytest.mark.parametrize("seed", [None, 3])
def test_the_splits_of_a_column_are_those_of_all_seeds(seed, tmp_path):
    dataset = table(tmp_path, split="part", split_seed=seed)
    data = dataset.load(0, tmp_path)
    assert dataset.load(1, tmp_path) is data
    assert data.shared_split
    named = np.array([WORDS[row % len(WORDS)].strip().lower() for row in range(90)])
    for split, words in {
        "train": ("train", "training"),
        "validation": ("val", "valid", "dev", "validation"),
        "test": ("test",),
    }.items():
        rows = np.flatnonzero(np.isin(named, words))
        assert getattr(data, split).targets.tolist() == (rows % 2).tolist()
        given = np.arange(90) / 7
        seen = given[np.isin(named, ("train", "training"))]
        found = getattr(data, split).inputs[:, 0].numpy()
        assert np.allclose(found, (given[rows] - seen.mean()) / seen.std(), atol=1e-6)


def test_fewer_training_rows_of_an_own_split_are_drawn_by_the_split_seed(tmp_path):
    whole = table(tmp_path, split="part").load(0, tmp_path)
    few = [table(tmp_path, split="part", train_size=12, split_seed=seed) for seed in (None, 0, 1)]
    drawn = [dataset.load(7, tmp_path) for dataset in few]
    rows = [{float(one) for one in data.train.inputs[:, 0]} for data in drawn]
    assert all(len(one) == 12 for one in rows)
    assert all(len(data.test) == len(whole.test) for data in drawn)
    assert rows[0] == rows[1] != rows[2]


def test_test_rows_that_an_own_split_has_elsewhere_are_counted(tmp_path):
    content = ["a,y,part"]
    content += [f"{row / 7},{'uv'[row % 2]},{WORDS[row % len(WORDS)]}" for row in range(90)]
    content += [f"{row / 7},u,test" for row in (0, 2, 3)]  # of training, validation and test
    data = table(tmp_path, content, columns=None, split="part").load(0, tmp_path)
    assert data.remarks == (
        "mine: 2 of 23 test rows have the inputs of a training or validation row; they stay where "
        "the column 'part' has them.",
    )
    assert table(tmp_path, split="part").load(0, tmp_path).remarks == ()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"group": "patients"}, "dataset.group: .* nearest: patient"),
        ({"split": "parts"}, "dataset.split: .* nearest: part"),
        ({"group": "y"}, "dataset.group: 'y' is the target"),
        ({"split": "y"}, "dataset.split: 'y' is the target"),
        ({"group": "patient", "split": "part"}, "dataset.group: 'part' says the split"),
        ({"split": "a"}, "dataset.columns: 'a' says the split"),
        ({"split": "patient"}, r"row 1, column 'patient': 'p0', expected train, validation, test"),
    ],
)
def test_columns_that_cannot_say_it_are_refused(overrides, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        table(tmp_path, **overrides).load(0, tmp_path)


@pytest.mark.parametrize(
    ("key", "column", "old", "new", "message"),
    [
        ("split", "part", "TEST", "tets", r"row 4, column 'part': 'tets'.* Did you mean test"),
        ("split", "part", "TEST", None, r"'part' is missing in 10 of 90 rows .* row 4\)"),
        ("split", "part", "(?i)test", "dev", "column 'part' gives no row to the test split"),
        ("group", "patient", "^p1$", None, "group 'patient' is missing in 3 of 90 rows"),
    ],
)
def test_cells_that_cannot_say_it_are_told(key, column, old, new, message, tmp_path):
    frame = pd.read_csv(write(tmp_path / "made.csv", lines()))
    frame.loc[frame[column].str.contains(old), column] = new
    frame.to_csv(tmp_path / "made.csv", index=False)
    dataset = make("table", path="made.csv", target="y", columns=["a"], **{key: column})
    with pytest.raises(DataError, match=message):
        dataset.load(0, tmp_path)


def test_a_class_without_a_training_row_in_an_own_split_is_told(tmp_path):
    content = [line.replace(",v", ",u") if "rain" in line else line for line in lines()]
    with pytest.raises(
        DataError, match=r"class 'v' .* gets none of the 30 rows of the train split"
    ):
        table(tmp_path, content, split="part").load(0, tmp_path)
