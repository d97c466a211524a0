"""Words that are mostly numbers are read as numbers, refused or told: never silently categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from regexp.dataset.base import DataError
from tests.dataset.made import make, write
from tests.dataset.test_cures import cures, dataset, obeyed

ROWS = 120


def lines(word):
    """A table with a column `b` of words; the target is a word."""
    return ["a,b,kind", *(f"{row / 7},{word(row)},{'uv'[row % 2]}" for row in range(ROWS))]


def question(row):
    return "?" if row % 30 == 7 else str(row % 60)


def test_many_numbers_and_a_word_are_refused_and_the_cure_makes_numbers_of_them(tmp_path):
    path = write(tmp_path / "mine.csv", lines(question))
    with pytest.raises(DataError, match=r"'b' has 58 different numbers, and beside them '\?';"):
        dataset(path).read(tmp_path)
    assert obeyed(path).features == ("a", "b", "missingindicator_b")


def test_each_cure_is_one(tmp_path):
    path = write(tmp_path / "mine.csv", lines(question))
    with pytest.raises(DataError) as caught:
        dataset(path).read(tmp_path)
    number, category = cures(str(caught.value))
    expected = [np.nan if row % 30 == 7 else row % 60 for row in range(ROWS)]
    read = dataset(path, number).read(tmp_path)
    assert np.array_equal(read.inputs[:, 1], expected, equal_nan=True)
    assert len(dataset(path, category).read(tmp_path).levels["b"]) == 59


def test_cures_keep_what_was_set_and_name_any_word(tmp_path):
    words = ("n/k", 'a "b"', "\\\\", "é ")
    made = lines(lambda row: words[row % 4] if row % 20 < 4 else str(row))
    path = write(tmp_path / "mine.csv", made)
    data = obeyed(path, 'dataset.missing=["-9"]')
    assert data.features == ("a", "b", "missingindicator_b")


@pytest.mark.parametrize(
    ("word", "number"),
    [
        (lambda row: f"{row}%", lambda row: row),
        (lambda row: f"{row}.5 %", lambda row: row + 0.5),
        (lambda row: f"{row + 1} 500", lambda row: row * 1000 + 1500),
        (lambda row: f"-{row + 1}\u00a0000\u00a0500", lambda row: -(row + 1) * 10**6 - 500),
        (lambda row: f"{row}\u202f500.25", lambda row: row * 1000 + 500.25),
        (lambda row: f"\u2212{row}", lambda row: -row),
        (lambda row: f"{row}\u00a0", lambda row: row),
        (lambda row: f"\u22121e{row}", lambda row: -float(f"1e{row}")),
        (lambda row: f"-${row}.50", lambda row: -row - 0.5),
        (lambda row: f"$-{row}", lambda row: -row),
        (lambda row: f"{row} €", lambda row: row),
    ],
)  # fmt: skip
def test_spellings_of_numbers_are_numbers_and_told(word, number, tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: word(row % 40)))
    table = make("table", path="mine.csv", target="kind").read(tmp_path)
    assert table.inputs[:, 1].tolist() == [number(row % 40) for row in range(ROWS)]
    (remark,) = table.remarks
    assert remark.startswith(f"mine: column 'b' read as numbers, written as {word(0)!r}")
    cured = dataset(tmp_path / "mine.csv", *cures(remark)).read(tmp_path)
    assert set(cured.levels["b"]) == {word(row) for row in range(40)}


def test_few_numbers_and_a_word_are_a_category_that_is_told(tmp_path):
    """As `doors` of the UCI's cars: 2, 3, 4, 5more."""
    path = write(tmp_path / "mine.csv", lines(lambda row: ["2", "3", "4", "5more"][row % 4]))
    table = dataset(path).read(tmp_path)
    assert table.levels == {"b": ("2", "3", "4", "5more")}
    (remark,) = table.remarks
    assert remark.startswith("mine: column 'b' read as categories, though most words are numbers")
    number, category = cures(remark)
    read = dataset(path, number).read(tmp_path)
    expected = [[2, 3, 4, np.nan][row % 4] for row in range(ROWS)]
    assert np.array_equal(read.inputs[:, 1], expected, equal_nan=True)
    read = dataset(path, category).read(tmp_path)
    assert read.levels == table.levels
    assert read.remarks == ()


def test_words_with_some_numbers_among_them_are_words(tmp_path):
    path = write(tmp_path / "mine.csv", lines(lambda row: ["red", "blue", "7", "x8"][row % 4]))
    table = dataset(path).read(tmp_path)
    assert table.levels == {"b": ("7", "blue", "red", "x8")}
    assert table.remarks == ()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            lambda row: f"{row}%" if row % 2 else row,
            r"numbers of different units \('1%', '0'\)",
        ),
        (lambda row: f"{'€$'[row % 2]}{row}", r"numbers of different units \('\$1', '€0'\)"),
        (lambda row: f'"$1,{row:03}.50"', r"commas in its numbers \('\$1,000.50'\)"),
        (lambda row: f"{row}.5" if row % 2 else f'"{row},5"', "write them with a point"),
        (lambda row: "?" if row == 9 else f'"{row},5"', "dataset.decimal"),
    ],
)
def test_numbers_that_are_written_in_two_ways_are_refused(word, message, tmp_path):
    path = write(tmp_path / "mine.csv", lines(word))
    with pytest.raises(DataError, match=f"column 'b' has .*{message}"):
        dataset(path).read(tmp_path)


def test_a_comma_and_then_a_word_are_cured_one_after_the_other(tmp_path):
    words = ["?" if row == 9 else f"{row},5" for row in range(ROWS)]
    made = ["b;kind", *(f"{word};{'uv'[row % 2]}" for row, word in enumerate(words))]
    path = write(tmp_path / "mine.csv", made)
    with pytest.raises(DataError) as caught:
        dataset(path, 'dataset.separator=";"').read(tmp_path)
    decimal = cures(str(caught.value))[0]
    assert decimal == 'dataset.decimal=","'
    data = obeyed(path, 'dataset.separator=";"', decimal)
    assert data.features == ("b", "missingindicator_b")


def test_points_where_a_comma_was_asked_for_are_refused(tmp_path):
    path = write(tmp_path / "mine.csv", lines(lambda row: f"{row % 3}"))
    with pytest.raises(DataError, match=r"'a' has 120 different numbers.*write all numbers in one"):
        dataset(path, 'dataset.decimal=","').read(tmp_path)


@pytest.mark.parametrize("task", ["null", "regression"])
def test_a_target_of_numbers_and_a_word_is_no_classification(task, tmp_path):
    path = write(tmp_path / "mine.csv", [line.replace("kind", "c") for line in lines(question)])
    asked = ("dataset.target=b", f"dataset.task={task}")
    with pytest.raises(DataError, match=r"'b' has 58 different numbers.* stand for missing"):
        dataset(path, *asked).read(tmp_path)
    with pytest.raises(DataError) as caught:
        dataset(path, *asked).read(tmp_path)
    missing, drop, classes = cures(str(caught.value))
    read = dataset(path, *asked, missing, drop).read(tmp_path)
    assert read.targets[:, 0].tolist() == [row % 60 for row in range(ROWS) if row % 30 != 7]
    assert len(dataset(path, *asked, classes).read(tmp_path).classes) == 59


def test_a_target_may_be_spelled_unusually(tmp_path):
    path = write(tmp_path / "mine.csv", lines(lambda row: f"\u2212{row}"))
    table = dataset(path, "dataset.target=b").read(tmp_path)
    assert table.task == "regression"
    assert table.targets[:, 0].tolist() == [-row for row in range(ROWS)]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        (question, True),
        (lambda row: f"{row % 40}%", True),
        (lambda row: f"{row % 40:02}", False),  # leading zeros: codes
        (lambda row: str(row % 12), False),
        (lambda row: f"no{row % 40}", False),
    ],
)
def test_text_of_a_file_with_types_is_told_where_most_of_it_is_numbers(word, told, tmp_path):
    path = tmp_path / "mine.parquet"
    columns = [line.split(",") for line in lines(word)]
    frame = pd.DataFrame(columns[1:], columns=columns[0]).astype({"a": float})
    frame.to_parquet(path)
    table = dataset(path).read(tmp_path)
    assert len(table.levels["b"]) == frame["b"].nunique()
    assert [remark for remark in table.remarks if "read as categories" in remark] == [
        "mine: column 'b' read as categories, as the file has them as text, though most words are "
        "numbers; if they are amounts, write them as numbers into the file; if not: "
        "'dataset.categorical=[\"b\"]'"
    ] * told
    assert not dataset(path, "dataset.categorical=b").read(tmp_path).remarks
