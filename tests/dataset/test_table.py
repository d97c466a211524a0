"""A user's table: features against pandas and numpy by hand; every fault is said in words."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from regexp.dataset.base import DataError
from regexp.dataset.frames import NO_VALUE
from regexp.sweeps.ingredients import with_earlier_settings
from tests.dataset.made import config_of, make, real_folder, table_lines, write


def table(folder, lines=None, **overrides):
    write(folder / "mine.csv", table_lines() if lines is None else lines)
    return make("table", **{"path": "mine.csv", "target": "kind", **overrides})


def by_hand(frame, train):
    """Features of `table_lines` by pandas: numbers, gaps, categories."""
    numbers = frame[["age", "income", "amount"]]
    filled = numbers.fillna(numbers.loc[train].median())
    scaled = (filled - filled.loc[train].mean()) / filled.loc[train].std(ddof=0)
    colour = pd.get_dummies(frame["colour"].fillna("missing"))[["blue", "green", "red", "missing"]]
    member = pd.get_dummies(frame["member"].astype(str))[["False", "True"]]
    parts = [scaled, frame[["age"]].isna(), colour, member]
    return np.concatenate([part.to_numpy(dtype=float) for part in parts], axis=1)


def test_features_are_those_of_pandas(tmp_path):
    dataset = table(tmp_path)
    data = dataset.load(0, tmp_path)
    assert data.features == (
        "age", "income", "amount", "missingindicator_age",
        "colour=blue", "colour=green", "colour=red", "colour=missing",
        "member=False", "member=True",
    )  # fmt: skip
    assert data.classes == ("bird", "cat", "dog")
    assert data.name == "mine"
    frame = pd.read_csv(tmp_path / "mine.csv")
    train, _, test = dataset.split_rows(dataset.read(tmp_path), 0)
    expected = by_hand(frame, train)
    assert np.allclose(data.train.inputs, expected[train], atol=1e-6)
    assert np.allclose(data.test.inputs, expected[test], atol=1e-6)
    kinds = np.array(data.classes)[data.train.targets.numpy()]
    assert (kinds == frame["kind"].to_numpy()[train]).all()


@pytest.mark.parametrize("name", ["colour=red", "missingindicator_age"])
def test_a_column_that_is_called_as_a_feature_of_another_is_named(name, tmp_path):
    lines = table_lines()
    dataset = table(tmp_path, [lines[0].replace("amount", name), *lines[1:]])
    with pytest.raises(DataError, match=f"^mine: two inputs would be called '{name}'.*rename"):
        dataset.load(0, tmp_path)


def test_parquet_and_gzip_give_what_the_csv_gives(tmp_path):
    first = table(tmp_path).load(0, tmp_path)
    pd.read_csv(tmp_path / "mine.csv").to_parquet(tmp_path / "mine.parquet")
    with gzip.open(tmp_path / "mine.csv.gz", "wb") as file:
        file.write((tmp_path / "mine.csv").read_bytes())
    for name in ("mine.parquet", "mine.csv.gz"):
        other = make("table", path=name, target="kind").load(0, tmp_path)
        assert other.features == first.features
        assert torch.equal(other.test.inputs, first.test.inputs)
        assert other.checksum != first.checksum


def test_every_seed_has_the_same_features(tmp_path):
    """Rare levels and gaps are missing from some training splits, and are features all the same."""
    lines = table_lines()
    lines[5] = "31.0,1.0,violet,True,cat,100.0"
    lines[9] = "33.0,,red,True,dog,100.0"
    dataset = table(tmp_path, lines, train_size=20)
    loaded = [dataset.load(seed, tmp_path) for seed in range(10)]
    assert len({data.features for data in loaded}) == 1
    violet, gap = (
        loaded[0].features.index(n) for n in ("colour=violet", "missingindicator_income")
    )
    seen = [bool(data.train.inputs[:, violet].any()) for data in loaded]
    assert not all(seen), "the test shows nothing"
    assert not all(bool(data.train.inputs[:, gap].any()) for data in loaded)


def test_a_column_without_a_value_in_the_training_rows_is_a_feature_of_zeros(tmp_path):
    lines = [
        "a,b,kind",
        *(f"{row / 7},{'5' if row == 0 else ''},{'xy'[row % 2]}" for row in range(60)),
    ]
    dataset = table(tmp_path, lines)
    loaded = [dataset.load(seed, tmp_path) for seed in range(10)]
    assert {data.features for data in loaded} == {("a", "b", "missingindicator_b")}
    empty = [data for data in loaded if not data.train.inputs[:, 1].any()]
    assert empty
    for data in empty:  # in the others too: nothing tells what the 5 is to be scaled by
        assert not data.validation.inputs[:, 1].any()
        assert not data.test.inputs[:, 1].any()


def test_a_column_of_one_value_in_the_training_rows_is_a_feature_of_zeros(tmp_path):
    """As `capital-gain` of few rows of the census: 0, but for rows with 99,999."""
    lines = ["a,gain,kind"]
    lines += [f"{row / 7},{99_999 if row < 2 else 0},{'xy'[row % 2]}" for row in range(60)]
    dataset = table(tmp_path, lines)
    loaded = [dataset.load(seed, tmp_path) for seed in range(10)]
    constant = [data for data in loaded if not data.train.inputs[:, 1].any()]
    assert 0 < len(constant) < len(loaded)
    for data in constant:
        assert not data.validation.inputs[:, 1].any()
        assert not data.test.inputs[:, 1].any()


@pytest.mark.parametrize("columns", [None, ["a", "b", "c"]])
def test_a_column_without_a_value_in_any_row_is_left_out_and_told(columns, tmp_path):
    """As one of the table `anneal` of OpenML; what remains is the table without it."""
    full = ["a,kind", *(f"{row / 7},{'xy'[row % 2]}" for row in range(60))]
    padded = ["a,b,c,kind", *(line.replace(",", ",, NA,") for line in full[1:])]
    without = table(tmp_path, full).load(0, tmp_path)
    data = table(tmp_path, padded, columns=columns, categorical="b").load(0, tmp_path)
    assert data.features == without.features == ("a",)
    assert torch.equal(data.train.inputs, without.train.inputs)
    assert data.remarks == ("mine: no value in any row of columns 'b', 'c', left out.",)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["yes", "no"], "classification"),
        (["True", "False"], "classification"),
        (["0", "1", "2"], "classification"),
        (["1.0", "2.0"], "classification"),
        ([str(n) for n in range(20)], "classification"),
        ([str(n) for n in range(21)], "regression"),
        (["0.5", "1.5"], "regression"),
    ],
)
def test_inferred_task(values, task, tmp_path):
    lines = ["a,y", *(f"{row / 9},{values[row % len(values)]}" for row in range(210))]
    data = table(tmp_path, lines, target="y").load(0, tmp_path)
    assert data.task == task
    if task == "classification":
        assert len(data.classes) == len(values)


def test_classes_are_in_the_order_of_numbers(tmp_path):
    lines = ["a,y", *(f"{row / 9},{[10, 9, -1][row % 3]}" for row in range(60))]
    assert table(tmp_path, lines, target="y").load(0, tmp_path).classes == ("-1", "9", "10")


def test_regression_of_several_targets_is_standardized(tmp_path):
    dataset = table(tmp_path, target=["amount", "income"], columns=["colour", "age"])
    data = dataset.load(0, tmp_path)
    assert data.task == "regression"
    assert data.features[:2] == ("age", "missingindicator_age")
    assert data.train.targets.shape == (72, 2)
    frame = pd.read_csv(tmp_path / "mine.csv")
    _, _, test = dataset.split_rows(dataset.read(tmp_path), 0)
    back = data.test.targets.double() * torch.tensor(data.target_scale.scale) + torch.tensor(
        data.target_scale.mean
    )
    assert np.allclose(back, frame[["amount", "income"]].to_numpy()[test], rtol=1e-4, atol=1e-2)
    assert data.train.targets.mean(0).abs().max() < 1e-5


def test_columns_are_chosen_and_dropped(tmp_path):
    assert table(tmp_path, columns=["income"]).load(0, tmp_path).features == ("income",)
    left = table(tmp_path, drop=["age", "colour", "member"]).load(0, tmp_path).features
    assert left == ("income", "amount")


def test_numbers_may_be_categories_and_words_may_stand_for_missing(tmp_path):
    lines = [
        "zip,a,y",
        *(f"{[100, 20, '?'][row % 3]},{row / 7},{'xy'[row % 2]}" for row in range(60)),
    ]
    given = {"target": "y", "missing": ["?"]}
    data = table(tmp_path, lines, **given, categorical=["zip"]).load(0, tmp_path)
    assert data.features == ("a", "zip=20", "zip=100", "zip=missing")
    data = table(tmp_path, lines, **given).load(0, tmp_path)
    assert data.features == ("zip", "a", "missingindicator_zip")


def test_one_name_is_a_list_of_one_and_may_be_a_number(tmp_path):
    """As the command line gives them: dataset.target=3 dataset.drop=10 dataset.missing=-9."""
    lines = ["1,10,2,3", *(f"{row / 7},9,{row if row % 5 else -9},{row % 2}" for row in range(60))]
    data = table(tmp_path, lines, target=3, drop=10, missing=-9).load(0, tmp_path)
    assert data.features == ("1", "2", "missingindicator_2")
    assert data.classes == ("0", "1")
    one = table(tmp_path, lines, target=3, columns="10", repeats="apart")
    assert one.load(0, tmp_path).features == ("10",)


def test_a_space_after_the_separator_is_no_part_of_the_value(tmp_path):
    lines = ["a, word, y"]
    lines += [f'{row / 7}, {["?", chr(34) + "p, q" + chr(34)][row % 2]}, {"uv"[row % 2]}'
              for row in range(60)]  # fmt: skip
    data = table(tmp_path, lines, target="y", missing=["?"]).load(0, tmp_path)
    assert data.features == ("a", "word=p, q", "word=missing")
    assert data.classes == ("u", "v")


def test_blanks_after_a_word_make_no_other_level(tmp_path):
    words = ["red", "red ", "blue", "? ", '"red "', "blue\t", "NA "]
    lines = ["a,word,y"]
    lines += [f"{row / 7},{words[row % 7]},{['u', 'v '][row % 5 % 2]}" for row in range(60)]
    dataset = table(tmp_path, lines, target="y", missing=["?"])
    data = dataset.load(0, tmp_path)
    assert data.features == ("a", "word=blue", "word=red", "word=missing")
    assert data.classes == ("u", "v")
    whole = dataset.table_of(tmp_path).inputs
    assert np.array_equal(dataset.read_inputs(tmp_path / "mine.csv", data.preparation), whole)


def test_what_pandas_takes_for_no_value_is_known(tmp_path):
    write(tmp_path / "mine.csv", ["a,b", *(f"{word},x" for word in NO_VALUE)])
    assert pd.read_csv(tmp_path / "mine.csv")["a"].isna().all()


def test_suffixes_may_be_written_in_capitals(tmp_path):
    frame = pd.DataFrame({"a": [row / 7 for row in range(60)], "y": ["u", "v"] * 30})
    frame.set_index("a").to_parquet(tmp_path / "MINE.PARQUET")
    (tmp_path / "MINE.CSV.GZ").write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    for name in ("MINE.PARQUET", "MINE.CSV.GZ"):  # a Parquet's named index is a column
        data = make("table", path=name, target="y").load(0, tmp_path)
        assert data.features == ("a",)


@pytest.mark.parametrize("type_", ["float16", "float32", "Float32", "float64"])
def test_a_number_for_missing_is_found_among_numbers_of_few_bits(type_, tmp_path):
    amounts = pd.Series([row / 7 if row % 5 else 99.9 for row in range(60)], dtype=type_)
    frame = pd.DataFrame({"amount": amounts, "y": ["u", "v"] * 30})
    frame.to_parquet(tmp_path / "mine.parquet")
    given = make("table", path="mine.parquet", target="y", missing=[99.9])
    assert given.load(0, tmp_path).features == ("amount", "missingindicator_amount")


def test_a_number_for_missing_is_found_among_decimals(tmp_path):
    amounts = [Decimal(row) / 4 if row % 5 else Decimal("-999.00") for row in range(60)]
    frame = pd.DataFrame({"amount": amounts, "y": ["u", "v"] * 30})
    frame.to_parquet(tmp_path / "mine.parquet")
    for missing in ([-999], ["-999"], ["-999.0"]):
        given = make("table", path="mine.parquet", target="y", missing=missing)
        assert given.load(0, tmp_path).features == ("amount", "missingindicator_amount")


def test_numbers_of_python_are_numbers(tmp_path):
    """Decimals, which databases write to Parquet, and whole numbers beyond 64 bits."""
    cents = [Decimal(row) / 4 for row in range(60)]
    large = [10**25 + row * 10**20 for row in range(60)]
    frame = pd.DataFrame({"cents": cents, "y": ["u", "v"] * 30})
    frame.loc[3, "cents"] = None
    frame.to_parquet(tmp_path / "cents.parquet")
    data = make("table", path="cents.parquet", target="y").load(0, tmp_path)
    assert data.features == ("cents", "missingindicator_cents")
    lines = ["large,y", *(f"{value},{'uv'[row % 2]}" for row, value in enumerate(large))]
    assert table(tmp_path, lines, target="y").load(0, tmp_path).features == ("large",)


def test_a_path_may_be_absolute_or_relative_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    dataset = table(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert dataset.load(0, tmp_path / "data").source == str(tmp_path / "mine.csv")
    monkeypatch.chdir(tmp_path / "data")
    absolute = make("table", path=str(tmp_path / "mine.csv"), target="kind")
    assert absolute.load(0, tmp_path / "data").name == "mine"


def test_a_configuration_from_before_a_setting_means_what_it_did():
    node: Any = OmegaConf.to_container(config_of("table"))
    later = ("encoding", "decimal", "header", "weight", "rows_without_target")
    bare = {key: value for key, value in node.items() if key not in later}
    assert with_earlier_settings(bare) == node


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"path": "other.csv"}, r"dataset.path: no 'other.csv' in .* nor in .*paths.data"),
        ({"path": "."}, "is no file; expected a CSV, Parquet or ARFF file"),
        ({"target": "kid"}, "dataset.target: .* has no column 'kid'; nearest: kind"),
        ({"columns": ["colr"]}, "dataset.columns: .* no column 'colr'; nearest: colour"),
        ({"drop": ["x"]}, "dataset.drop: .* has no column 'x'"),
        ({"categorical": ["x"]}, "dataset.categorical: .* has no column 'x'"),
        (
            {"drop": ["age", "income", "colour", "member", "amount"]},
            "no column is left as an input",
        ),
        ({"task": "regression"}, r"target 'kind' is no number \('cat' in row 1\).*=classification"),
        ({"target": ["amount", "kind"]}, "target 'kind' is no number .* one target"),
        ({"target": "colour"}, r"target 'colour' is missing in \d+ of 120 rows \(the first is row"),
        ({"max_levels": 2}, "'colour' is a category of 4 levels .* dataset.drop; .*=2"),
        (
            {"separator": ";"},
            "separated by comma ',', expected semicolon ';'; set 'dataset.separator=\",\"'",
        ),
    ],
)
def test_what_does_not_fit_the_file_is_said(overrides, message, tmp_path):
    with pytest.raises(DataError, match=message):
        table(tmp_path, **overrides).load(0, tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "the file is empty"),
        (["a,y"], "a header and no rows"),
        (["# made by me", "a,y", "1,2"], "the first line is a comment, '# made by me'; leave it"),
        (["a,a,y", "1,2,3"], "the header has the column 'a' more than once"),
        (["a,,y", "1,2,3"], r"column 2 of 3 has no name .*index=False"),
        (["a,y", "1,2", "1"], r"row 2 \(line 3\) has 1 fields, the header 2"),
        (["a,y", "1,2,3"], r"row 1 \(line 2\) has 3 fields, the header 2"),
        (["a,y", *[",x", ",z"] * 9], "no column is left as an input.* that have a value"),
        (["a,y", *["1,", "2,"] * 9], "target 'y' is missing in 18 of 18 rows"),
        (["a,y", *['"0,5",x', '"1.200,25",z'] * 9], "'a' has commas in its numbers .'0,5'"),
        (["a,y", *['"1,000.50",x', "950.25,z"] * 9], "'a' has commas in its numbers .'1,000.50'"),
        (["a,y", "inf,x", *["1,x", "2,z"] * 9], "row 1, column 'a': inf, expected a finite"),
        (["a,y", *["1,x", "2,x"] * 9], "all of its 18 rows are of one class"),
        (["a,y", *["1,2.5", "2,2.5"] * 9], "all of its 18 rows have the target 2.5"),
    ],
)
def test_faults_of_the_file_are_said(lines, message, tmp_path):
    with pytest.raises(DataError, match=message):
        table(tmp_path, lines, target="y").load(0, tmp_path)


def test_dates_and_damaged_parquet_are_refused(tmp_path):
    frame = pd.DataFrame({"when": pd.date_range("2020", periods=30), "y": ["a", "b"] * 15})
    frame.to_parquet(tmp_path / "dates.parquet")
    with pytest.raises(DataError, match=r"'when' is of type datetime64.*dataset.drop"):
        make("table", path="dates.parquet", target="y").load(0, tmp_path)
    for values, kind in (([date(2020, 1, 1)] * 30, "type date"), ([[1], [2]] * 15, "ndarray")):
        pd.DataFrame({"it": values, "y": ["a", "b"] * 15}).to_parquet(tmp_path / "odd.parquet")
        with pytest.raises(DataError, match=rf"column 'it' .*{kind}.*dataset.drop"):
            make("table", path="odd.parquet", target="y").load(0, tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"bad\.parquet: cannot be read as Parquet"):
        make("table", path="bad.parquet", target="y").load(0, tmp_path)


def test_the_real_wines_as_a_table_are_the_wines():
    folder = real_folder("winequality-red.csv")
    wines = make("wine_quality").load(0, folder)
    path = str(folder / "winequality-red.csv")
    data = make("table", path=path, separator=";", target="quality").load(0, folder)
    assert data.classes == wines.classes
    assert data.checksum == wines.checksum
    assert torch.equal(data.train.targets, wines.train.targets)
    assert torch.allclose(data.test.inputs, wines.test.inputs, atol=1e-5)


@pytest.mark.parametrize(
    "asked", [{"target": "kind"}, {"target": "kind", "categorical": "b"}, {"target": "b"}]
)
def test_bytes_of_parquet_are_text_or_refused_by_the_name_of_their_column(asked, tmp_path):
    def made(words):
        frame = pd.DataFrame({"a": range(60), "b": words * 30, "kind": ["u", "v"] * 30})
        frame.to_parquet(tmp_path / "mine.parquet")
        return make("table", path="mine.parquet", **asked)

    table = made([b"yes", "né".encode()]).read(tmp_path)
    assert table.levels.get("b", table.classes) == ("né", "yes")
    missing = replace(made([b"yes", b"?"]), missing=("?",), rows_without_target="drop")
    table = missing.read(tmp_path)
    assert table.levels.get("b", table.classes) == ("yes", "missing")[: 1 + ("b" in table.levels)]
    dataset = made([b"\xffa", b"b"])
    told = r"mine.parquet: column 'b' holds bytes that are no text in UTF-8 \(b'\\xffa'\);"
    with pytest.raises(DataError, match=told):
        dataset.read(tmp_path)
    if asked == {"target": "kind"}:
        assert replace(dataset, drop=("b",)).read(tmp_path).columns == ("a",)
