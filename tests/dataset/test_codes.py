"""01 and 1 are two codes, wherever a column names things; and one number."""

from __future__ import annotations

import re

import numpy as np
import pytest

from regexp.dataset.base import DataError
from tests.dataset.made import make, write
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
