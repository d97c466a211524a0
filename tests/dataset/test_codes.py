"""01 and 1 are two codes, wherever a column names things; and one number."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from regexp.dataset.base import DataError
from tests.dataset.made import make, wine_lines, write
from tests.dataset.test_cures import cures, dataset

CODES = ("01", "1", "10", "2", "002")
ORDERED = ("01", "1", "002", "2", "10")
ROWS = 120


def lines(code):
    """A table with a column `code`; the target is a word."""
    return ["a,code,kind", *(f"{row / 7},{code(row)},{'uv'[row % 2]}" for row in range(ROWS))]


def cycled(row):
    return CODES[row % len(CODES)]


def test_codes_are_classes_of_their_own(tmp_path):
    write(tmp_path / "mine.csv", lines(cycled))
    table = make("table", path="mine.csv", target="code", columns="a").read(tmp_path)
    assert table.classes == ORDERED
    assert [table.classes[code] for code in table.targets] == [cycled(row) for row in range(ROWS)]


def test_many_codes_are_classes_too_unless_a_regression_is_asked_for(tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: f"{row % 30:03}"))
    read = make("table", path="mine.csv", target="code", columns="a").read(tmp_path)
    assert read.classes == tuple(f"{code:03}" for code in range(30))
    read = make("table", path="mine.csv", target="code", columns="a", task="regression")
    assert np.array_equal(read.read(tmp_path).targets[:, 0], np.arange(ROWS) % 30)


def test_codes_are_categories_of_their_own_and_may_be_missing(tmp_path):
    """A missing value makes pandas' numbers floats: 1.0 is the code 1 all the same."""
    write(tmp_path / "mine.csv", lines(lambda row: "?" if row % 7 == 3 else f"{cycled(row)} "))
    asked = {"target": "kind", "categorical": "code", "missing": "?"}
    table = make("table", path="mine.csv", **asked).read(tmp_path)
    assert table.levels == {"code": (*ORDERED, "missing")}
    names = [table.levels["code"][int(code)] for code in table.inputs[:, 1]]
    assert names == ["missing" if row % 7 == 3 else cycled(row) for row in range(ROWS)]


@pytest.mark.parametrize("name", ["table", "series"])
def test_codes_are_groups_and_words_of_their_own(name, tmp_path):
    if name == "table":
        write(tmp_path / "mine.csv", lines(cycled))
        groups = make(name, path="mine.csv", target="kind", group="code").table_of(tmp_path).groups
        assert len(set(groups.tolist())) == len(CODES)
        return
    write(tmp_path / "mine.csv", ["x,part", *(f"{row / 7},{row:03}" for row in range(ROWS))])
    with pytest.raises(DataError, match=r"row 1, column 'part': '000', expected train"):
        make(name, path="mine.csv", target="x", split="part").read(tmp_path)


def test_an_input_with_leading_zeros_is_a_number_and_told_with_the_cure(tmp_path):
    path = write(tmp_path / "mine.csv", lines(cycled))
    table = dataset(path).read(tmp_path)
    assert np.array_equal(table.inputs[:, 1], [int(cycled(row)) for row in range(ROWS)])
    (remark,) = table.remarks
    assert re.match("mine: numbers in column 'code' have leading zeros, and are numbers;", remark)
    cured = dataset(path, *cures(remark)).read(tmp_path)
    assert cured.levels == {"code": ORDERED}
    assert cured.remarks == ()


def test_numbers_without_leading_zeros_are_what_they_were(tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: ["0", "0.5", "-0", "10", "100.0"][row % 5]))
    table = make("table", path="mine.csv", target="kind").read(tmp_path)
    assert table.remarks == ()
    named = make("table", path="mine.csv", target="kind", categorical="code").read(tmp_path)
    assert named.levels == {"code": ("0", "0.5", "10", "100")}


WRITTEN = (
    (("3.1", "3.10", "3.2"), ("3.1", "3.10", "3.2")),  # versions
    (("1E2", "100", "7"), ("7", "100", "1E2")),
    (("3.9", "3.10", "3.11"), ("3.10", "3.11", "3.9")),  # by their numbers
    (("9007199254740993", "9007199254740992", "5"), ("5", "9007199254740992", "9007199254740993")),
)
"""Words that numbers would merge or alter, and their order."""


@pytest.mark.parametrize(("words", "ordered"), WRITTEN)
def test_words_that_numbers_would_merge_or_alter_are_classes_and_categories(
    words, ordered, tmp_path
):
    write(tmp_path / "mine.csv", lines(lambda row: words[row % 3]))
    asked = {"target": "code", "task": "classification", "columns": "a"}
    table = make("table", path="mine.csv", **asked).read(tmp_path)
    assert table.classes == ordered
    assert [table.classes[code] for code in table.targets] == [
        words[row % 3] for row in range(ROWS)
    ]
    write(tmp_path / "gaps.csv", lines(lambda row: words[row % 3] if row % 7 else ""))
    table = make("table", path="gaps.csv", target="kind", categorical="code").read(tmp_path)
    assert table.levels == {"code": (*ordered, "missing")}
    names = [table.levels["code"][int(code)] for code in table.inputs[:, 1]]
    assert names == [words[row % 3] if row % 7 else "missing" for row in range(ROWS)]


@pytest.mark.parametrize("words", [words for words, _ in WRITTEN])
def test_words_that_numbers_would_merge_are_groups(words, tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: words[row // 2 % 3]))
    table = make("table", path="mine.csv", target="kind", group="code").table_of(tmp_path)
    assert len(set(table.groups.tolist())) == 3
    wine = [f"{line};{words[row % 3] if row else 'code'}" for row, line in enumerate(wine_lines())]
    write(tmp_path / "wine.csv", wine)
    table = make("wine_quality", file="wine.csv", sha256=None, group="code").table_of(tmp_path)
    assert len(set(table.groups.tolist())) == 3


def test_names_that_are_one_number_are_told(tmp_path):
    """A file that was put together of two may have 1 and 1.0 of one thing."""
    write(tmp_path / "mine.csv", lines(lambda row: ["1", "1.0", "2"][row // 2 % 3]))
    for asked, what in (
        ({"target": "code"}, "classes"),
        ({"target": "kind", "categorical": "code"}, "levels"),
        ({"target": "kind", "group": "code"}, "groups"),
    ):
        told = f"'1', '1.0' of the column 'code' are different {what}, as they are written; if"
        table = make("table", path="mine.csv", **asked).table_of(tmp_path)
        assert [note[: len(told)] for note in table.notes if "as they are" in note] == [told]


def test_amounts_are_numbers_however_they_are_written(tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: f"{row / 4:.2f}"))
    table = make("table", path="mine.csv", target="kind").read(tmp_path)
    assert np.array_equal(table.inputs[:, 1], np.arange(ROWS) / 4)
    assert table.remarks == ()
    table = make("table", path="mine.csv", target="code").read(tmp_path)
    assert table.task == "regression"


def test_classes_of_spelled_numbers_are_called_as_they_are_written(tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: ["5%", "10%", "20%"][row % 3]))
    table = make("table", path="mine.csv", target="code", columns="a").read(tmp_path)
    assert table.classes == ("5%", "10%", "20%")


def test_decimal_commas_of_names_are_points(tmp_path):
    made = [line.replace(",", ";") for line in lines(lambda row: ["3.1", "3.10"][row % 2])]
    write(tmp_path / "mine.csv", [line.replace(".", ",") for line in made])
    asked = {"separator": ";", "decimal": ",", "target": "kind", "categorical": "code"}
    dataset = make("table", path="mine.csv", **asked)
    preparation = dataset.load(0, tmp_path).preparation
    assert preparation.levels == {"code": ("3.1", "3.10")}
    new = write(tmp_path / "new.csv", ["a;code", "1,5;3,10", "1,5;3,1"])
    assert dataset.read_inputs(new, preparation)[:, 1].tolist() == [1, 0]


@pytest.mark.parametrize(("words", "ordered"), WRITTEN)
def test_new_rows_name_levels_by_their_words(words, ordered, tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: words[row % 3]))
    dataset = make("table", path="mine.csv", target="kind", categorical="code")
    preparation = dataset.load(0, tmp_path).preparation
    expected = [ordered.index(word) for word in words]
    new = write(tmp_path / "new.csv", ["a,code", *(f"1,{word}" for word in words)])
    frame = pd.DataFrame({"a": [1.0] * 3, "code": words})
    for rows in (new, frame, frame.astype({"code": "category"}), pd.DataFrame(frame.values)):
        if isinstance(rows, pd.DataFrame):
            rows = rows.set_axis(["a", "code"], axis=1)
        assert dataset.read_inputs(rows, preparation)[:, 1].tolist() == expected
    write(new, ["a,code", f"1,{words[1]}0", f"1,0{words[1]}"])
    with pytest.raises(DataError, match=rf"row 1, column 'code': '{words[1]}0'.* is no level"):
        dataset.read_inputs(new, preparation)


def test_the_zeros_of_both_signs_are_one_category(tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: ["0", "-0", "1"][row % 3]))
    dataset = make("table", path="mine.csv", target="kind", categorical="code")
    data = dataset.load(0, tmp_path)
    assert data.preparation.levels == {"code": ("0", "1")}
    read = dataset.read_inputs(tmp_path / "mine.csv", data.preparation)
    assert read[:3, 1].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("words", "known", "unknown"),
    [
        (("3.1", "3.2", "3.3"), ["3.2", " 3.1"], ["3.10", "03.1", "3.20"]),
        (("1", "2", "100"), ["2.0", "100"], ["01", "1.00", "1E2", "+2"]),
    ],
)
def test_new_words_are_told_apart_as_those_of_training(words, known, unknown, tmp_path):
    """Had one of these been there, it would have been a level of its own."""
    write(tmp_path / "mine.csv", lines(lambda row: words[row % 3]))
    dataset = make("table", path="mine.csv", target="kind", categorical="code")
    preparation = dataset.load(0, tmp_path).preparation
    assert preparation.levels == {"code": words}
    read = dataset.read_inputs(pd.DataFrame({"a": [1.0, 1.0], "code": known}), preparation)
    numbers = [float(words[int(code)]) for code in read[:, 1]]
    assert numbers == [float(word) for word in known]
    for word in unknown:
        new = write(tmp_path / "new.csv", ["a,code", f"1,{word}"])
        for rows in (new, pd.DataFrame({"a": [1.0], "code": [word]})):
            with pytest.raises(DataError, match=r"row 1, column 'code': .* is no level that the"):
                dataset.read_inputs(rows, preparation)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("3.1", "3.10", "3.2"), [3.1]),
        (("1E2", "100", "7"), [100]),
        (("01", "1", "22"), [22]),
        (("9007199254740993", "9007199254740992", "5"), [9007199254740992.0]),
    ],
)
def test_numbers_are_refused_where_words_alone_tell_levels_apart(words, numbers, tmp_path):
    write(tmp_path / "mine.csv", lines(lambda row: words[row % 3]))
    dataset = make("table", path="mine.csv", target="kind", categorical="code")
    preparation = dataset.load(0, tmp_path).preparation
    told = r"column 'code' holds numbers, .* codes such as .*, .*dtype=\{'code': str"
    frame = pd.DataFrame({"a": [1.0], "code": numbers})
    for rows in (frame, pd.DataFrame(frame.astype(object).values, columns=frame.columns)):
        with pytest.raises(DataError, match=told):
            dataset.read_inputs(rows, preparation)
    mixed = pd.DataFrame({"a": [1.0, 2.0], "code": [words[0], *numbers]})
    with pytest.raises(DataError, match=told):
        dataset.read_inputs(mixed, preparation)


def test_numbers_name_levels_where_no_two_are_one_number(tmp_path):
    """As of prices; and whole numbers are exact where floats are not."""
    for words, numbers, expected in (
        (("0.50", "1.00", "1.50"), [1.5, 0.5], ["1.50", "0.50"]),
        (("9007199254740992", "9007199254740993", "5"), [5, 2**53], ["5", "9007199254740992"]),
    ):
        write(tmp_path / "mine.csv", lines(lambda row, words=words: words[row % 3]))
        dataset = make("table", path="mine.csv", target="kind", categorical="code")
        preparation = dataset.load(0, tmp_path).preparation
        frame = pd.DataFrame({"a": [1.0, 2.0], "code": numbers})
        for rows in (frame, frame.astype({"code": object})):
            read = dataset.read_inputs(rows, preparation)[:, 1]
            assert [preparation.levels["code"][int(code)] for code in read] == expected


def test_whole_numbers_of_parquet_are_exact_beside_a_gap(tmp_path):
    """pandas makes floats of them, as it does in a CSV."""
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    numbers = arrow.array([2**53 + 1, 2**53, None, 5] * 15, arrow.int64())
    columns = {"a": list(range(60)), "code": numbers, "kind": ["u", "v"] * 30}
    parquet.write_table(arrow.table(columns), tmp_path / "mine.parquet")
    dataset = make("table", path="mine.parquet", target="kind", categorical="code")
    table = dataset.read(tmp_path)
    assert table.levels == {"code": ("5", "9007199254740992", "9007199254740993", "missing")}
    preparation = dataset.load(0, tmp_path).preparation
    assert np.array_equal(dataset.read_inputs(tmp_path / "mine.parquet", preparation), table.inputs)
    made = make("table", path="mine.parquet", target="kind", drop="a").read(tmp_path)
    assert np.isnan(made.inputs[2, 0])
