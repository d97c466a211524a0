"""What looks wrong is told, with cures that work; real tables and heavy tails raise no alarm."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regexp.dataset import suspects
from regexp.dataset.base import DataError
from tests.dataset.made import make, real_folder
from tests.dataset.test_cures import cures, dataset, obeyed

ROWS = 120
KIND = ["u", "v"] * (ROWS // 2)


def told(path, *overrides: str) -> list[str]:
    """What is told of a table before training, without its name."""
    remarks = dataset(path, *overrides).read(path.parent).remarks
    return [remark.removeprefix("mine: ") for remark in remarks]


def written(folder, name="mine.csv", **columns):
    """A table of these columns, of one of noise and of the target `kind`."""
    noise = np.random.default_rng(0).normal(size=ROWS)
    frame = pd.DataFrame({"noise": noise, **columns, "kind": KIND})
    if name.endswith("parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False)
    return folder / name


def numbers(**replaced: Any) -> np.ndarray:
    """Numbers from 0 to 30, of which some rows are another: `r7=-9999`."""
    values = np.random.default_rng(1).uniform(0, 30, ROWS).round(2)
    for row, value in replaced.items():
        values[int(row[1:])] = value
    return values


real_tables = [
    ("sklearn.datasets", f"load_{name}")
    for name in ("iris", "wine", "breast_cancer", "diabetes", "linnerud")
] + [
    (f"statsmodels.datasets.{name}", "load_pandas")
    for name in (
        "anes96", "cancer", "ccard", "china_smoking", "committee", "cpunish", "engel", "fair",
        "fertility", "grunfeld", "heart", "interest_inflation", "longley", "macrodata",
        "modechoice", "randhie", "scotland", "spector", "stackloss", "star98", "statecrime",
        "strikes",
    )
]  # fmt: skip


@pytest.mark.parametrize(("module", "load"), real_tables)
def test_no_column_of_a_real_table_raises_an_alarm(module, load):
    loader = getattr(importlib.import_module(module), load)
    frame = loader(as_frame=True).frame if load != "load_pandas" else loader().data
    for name in frame:
        if pd.api.types.is_numeric_dtype(frame[name]):
            values = frame[name].to_numpy(dtype=float)
            assert suspects.sentinels(values) == {}, name
            assert not suspects.are_dates(values)
        else:
            assert not suspects.is_date(frame[name])


def test_a_sentinel_is_found_in_every_column_of_real_tables():
    """-9999 in two rows of each, which has no number below."""
    random = np.random.default_rng(0)
    for load in ("load_breast_cancer", "load_wine"):
        frame = getattr(importlib.import_module("sklearn.datasets"), load)(as_frame=True).data
        for name in frame:
            values = frame[name].to_numpy(dtype=float, copy=True)
            values[random.permutation(len(values))[:2]] = -9999
            assert suspects.sentinels(values) == {-9999.0: 2}


@pytest.mark.parametrize("seed", range(50))
def test_heavy_tails_raise_no_alarm(seed):
    random = np.random.default_rng(seed)
    for rows in (50, 500):
        for values in (
            random.lognormal(0, 2, rows).round(1),
            random.pareto(1, rows).round(1),
            random.standard_cauchy(rows).round(),
            random.zipf(1.3, rows).astype(float),
            random.poisson(0.2, rows).astype(float),
        ):
            assert suspects.sentinels(values) == {}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([*range(30), 999], {999: 1}),
        ([*range(30), 1000], {}),  # once, and no number that programs use
        ([*range(30), 1000, 1000], {1000: 2}),
        ([*range(30), 99, 99], {}),  # no more than twice what there is
        ([*range(30), 1e20, -1e20, 1e20], {-1e20: 1, 1e20: 2}),
        ([*range(30), -999, -9999, -9999], {-9999: 2, -999: 1}),
        ([*range(0, 3000, 7), -99, -99], {-99: 2}),  # the only negative number
        ([*range(-30, 3000, 7), -99, -99], {}),
        ([*np.arange(30) / 10, *[np.nan] * 5, 2.0**31 - 1], {2.0**31 - 1: 1}),
        ([0, 1] * 20 + [9], {}),
        ([0, 1] * 20 + [99, 99], {99: 2}),
        ([1, 10, 100, 1000, 10000] * 9, {}),
        ([*10.0 ** np.arange(40)] * 3, {}),
        ([0] * 50 + [*range(1990, 2010)], {}),  # 0 is no sentinel: "never", say
        ([5] * 50, {}),
        ([5] * 50 + [-9999] * 2, {}),  # two values are a code
        ([np.nan] * 50, {}),
        ([], {}),
    ],
)
def test_which_values_look_like_sentinels(values, found):
    for order in (1, -1):
        assert suspects.sentinels(np.array(values[::order], dtype=float)) == found


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("value", [-9999, 1e20, -3.4028234663852886e38, 9.96921e36])
def test_the_cure_of_a_sentinel_makes_gaps_of_it(value, suffix, tmp_path):
    spoiled = {"a": numbers(r3=value, r8=value), "b": numbers(r9=value, r10=value)}
    path = written(tmp_path, f"mine.{suffix}", **spoiled, c=numbers())
    (line,) = told(path)
    assert "in columns 'a', 'b' (2 rows); if this stands for missing: " in line
    (cure,) = cures(line)
    table = dataset(path, cure).read(tmp_path)
    assert table.remarks == ()
    expected = np.stack([np.where(column == value, np.nan, column)
                         for column in (*spoiled.values(), numbers())], axis=1)  # fmt: skip
    assert np.array_equal(table.inputs[:, 1:], expected, equal_nan=True)


def test_a_whole_number_may_be_written_with_decimals_and_earlier_words_are_kept(tmp_path):
    path = tmp_path / "mine.csv"
    rows = [f"{value:.2f},{'?' if row == 5 else row % 50},{KIND[row]}"
            for row, value in enumerate(numbers(r3=-999, r8=-999))]  # fmt: skip
    path.write_text("\n".join(["a,b,kind", *rows]))
    asked = 'dataset.missing=["?"]'
    (cure,) = cures(told(path, asked)[0])
    assert cure == 'dataset.missing=["?", "-999"]'
    table = dataset(path, asked, cure).read(tmp_path)
    assert np.isnan(table.inputs).sum(axis=0).tolist() == [2, 1]


def test_a_number_that_means_something_elsewhere_is_not_to_be_made_missing(tmp_path):
    spoiled = {"a": numbers(r3=999, r8=999, r9=-9999), "c": np.arange(ROWS) % 115 * 9.0}
    (line,) = told(written(tmp_path, **spoiled))
    assert cures(line) == ['dataset.missing=["-9999"]']
    assert "999 may be a number in other columns: leave the fields empty in the file" in line


def test_the_sentinel_of_a_target_is_told_and_its_rows_can_be_left_out(tmp_path):
    path = written(tmp_path, amount=numbers(r3=-9999, r8=-9999))
    (line,) = told(path, "dataset.target=amount")
    missing, drop = cures(line)
    table = dataset(path, "dataset.target=amount", missing, drop).read(tmp_path)
    assert table.targets[:, 0].tolist() == [v for v in numbers(r3=-9999, r8=-9999) if v > -9999]
    with pytest.raises(DataError, match="target 'amount' is missing in 2 of 120 rows"):
        dataset(path, "dataset.target=amount", missing).read(tmp_path)
    path = written(tmp_path, code=[[0, 1, 2, -9999][row % 4] for row in range(ROWS)])
    classes = dataset(path, "dataset.target=code").read(tmp_path)
    assert classes.classes == ("-9999", "0", "1", "2")
    assert "-9999 in column 'code' (30 rows)" in classes.remarks[0]


@pytest.mark.parametrize(
    ("values", "told_of"),
    [
        (np.arange(ROWS), True),
        (np.random.default_rng(0).permutation(ROWS) + 7000, True),
        (np.arange(ROWS)[::-1] * 3, True),
        (587727178986356823 + np.random.default_rng(0).permutation(ROWS) * 9, True),
        (np.arange(ROWS) / 2, False),
        (np.arange(ROWS) // 2, False),
        (np.random.default_rng(0).permutation(ROWS) * 2, False),
        (np.where(np.arange(ROWS) == 5, np.nan, np.arange(ROWS)), False),
    ],
)
def test_an_identifier_is_told_and_left_out_by_the_cure(values, told_of, tmp_path):
    path = written(tmp_path, number=values)
    lines = told(path, "dataset.drop=[]")
    assert bool(lines) == told_of
    if told_of:
        assert "another value in every row of column 'number'" in lines[0]
        assert dataset(path, *cures(lines[0])).load(0, tmp_path).features == ("noise",)
        assert told(path, "dataset.columns=[noise,number]") == []


def test_words_that_are_others_in_every_row_are_told(tmp_path):
    """Where there are few rows: of more they are refused as too many levels."""
    path = written(tmp_path, number=[f"{row} kg" for row in range(ROWS)])
    [line] = told(path, "dataset.max_levels=200")
    assert "another value in every row of column 'number'" in line
    assert dataset(path, *cures(line)).load(0, tmp_path).features == ("noise",)
    assert told(path, "dataset.max_levels=200", "dataset.categorical=[number]") == []


DATES = ["2020-01-02", "3.4.2021", "12/31/99", "2020-01-02 13:45:00", "2020-01-02T13:45:00.5Z",
         "3 March 2020", "Mar 3, 2020", "13:45", "23:59:01"]  # fmt: skip


@pytest.mark.parametrize("date", DATES)
def test_dates_are_told_where_they_are_few_and_refused_where_they_are_many(date, tmp_path):
    shifted = [date[:-1] + str(row % 5) if date[-1].isdigit() else date for row in range(ROWS)]
    path = written(tmp_path, when=shifted)
    (line,) = told(path)
    assert line.startswith("dates in column 'when' are categories or plain numbers")
    assert dataset(path, *cures(line)).load(0, tmp_path).features == ("noise",)
    assert told(path, "dataset.categorical=when") == []


def test_many_dates_are_refused_and_left_out_by_the_cure(tmp_path):
    days = pd.date_range("2020-01-01", periods=ROWS).astype(str)
    path = written(tmp_path, when=days, other=numbers())
    with pytest.raises(DataError, match=r"'when' has dates \('2020-01-01', ...\), which are no"):
        dataset(path).read(tmp_path)
    assert obeyed(path, "dataset.drop=other").features == ("noise",)


def test_numbers_that_are_dates_are_told(tmp_path):
    days = pd.date_range("2020-01-01", periods=ROWS).strftime("%Y%m%d").astype(int)
    path = written(tmp_path, when=days)
    (line,) = told(path)
    assert line.startswith("dates in column 'when'")
    assert dataset(path, *cures(line)).load(0, tmp_path).features == ("noise",)


@pytest.mark.parametrize("word", ["1.2", "10-49", "5more", "1-2-3", "May", "192.168.0.1", "1:2"])
def test_words_that_are_no_dates_are_none(word):
    assert not suspects.is_date(pd.Series(["2020-01-01", word, None]))


def test_a_column_that_names_splits_is_told(tmp_path):
    parts = np.resize(["train", "train", "train", "valid", "test", "Train"], ROWS)
    path = written(tmp_path, **{'the "part"': parts})
    (line,) = told(path)
    data = dataset(path, *cures(line)).load(0, tmp_path)
    assert data.features == ("noise",)
    assert len(data.test) == ROWS / 6
    assert told(written(tmp_path, part=np.resize(["train", "bus"], ROWS))) == []


def test_a_header_that_is_a_row_is_told_and_read_as_one_by_the_cure(tmp_path):
    """As that of `phoneme`, where it was published without names."""
    values = np.random.default_rng(0).normal(size=(ROWS, 2))
    rows = [f"{a},{b},{kind}" for (a, b), kind in zip(values, KIND, strict=True)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(rows))
    (line,) = told(path, "dataset.target=u")
    assert "'u'); if it is: 'dataset.header=false', which names the columns 1 to 3" in line
    with pytest.raises(
        DataError, match=r"has no column 'kind'.*nearest.*the header looks like"
    ) as e:
        dataset(path).read(tmp_path)
    assert cures(str(e.value)) == cures(line) == ["dataset.header=false"]
    data = dataset(path, *cures(line), "dataset.target=3").load(0, tmp_path)
    assert data.features == ("1", "2")
    whole = dataset(path, *cures(line), "dataset.target=3").read(tmp_path)
    assert np.array_equal(whole.inputs, values)
    assert [whole.classes[place] for place in whole.targets] == KIND


@pytest.mark.parametrize(
    "names",
    [("a", "b", "c"), ("0", "1", "2"), ("1", "2", "3"), ("1990", "2000", "2010"), ("1", "2", "u?")],
)
def test_headers_of_names_are_none(names, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([",".join(names), *(f"{row / 7},{row % 9},{KIND[row]}"
                                                    for row in range(ROWS))]))  # fmt: skip
    assert told(path, f"dataset.target='{names[-1]}'") == []


def test_the_real_phonemes_have_no_header():
    folder = real_folder("tables/phoneme.csv")
    bare = make("table", path="tables/phoneme.csv", target="0")
    (remark,) = bare.read(folder).remarks
    assert cures(remark) == ["dataset.header=false"]
    whole = make("table", path="tables/phoneme.csv", target=6, header=False).read(folder)
    frame = pd.read_csv(folder / "tables/phoneme.csv", header=None)
    assert np.array_equal(whole.inputs, frame.iloc[:, :5].to_numpy())
    assert np.array_equal(whole.targets, frame.iloc[:, 5].to_numpy())
