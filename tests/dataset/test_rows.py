"""Rows without a header, without a target, and of different weight: held against pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from regexp.dataset.base import DataError
from regexp.errors import ConfigError
from tests.dataset.made import make, write
from tests.dataset.test_cures import cures, dataset, obeyed

ROWS = 120


def made(**columns) -> pd.DataFrame:
    """Two inputs and the target `kind`, with some columns replaced or added."""
    values = np.random.default_rng(0).normal(size=(ROWS, 2))
    frame = pd.DataFrame({"a": values[:, 0], "b": values[:, 1], "kind": ["u", "v"] * (ROWS // 2)})
    return frame.assign(**columns)


def saved(folder, frame, name="mine.csv", **options):
    if name.endswith("parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False, **options)
    return folder / name


@pytest.mark.parametrize("lines", [["5,u", "7,v"], ["05,u", '"7\n",v']])
def test_without_a_header_the_first_line_is_a_row(lines, tmp_path):
    path = write(tmp_path / "mine.csv", lines * 30)
    table = dataset(path, "dataset.header=false", "dataset.target=2").read(tmp_path)
    assert table.columns == ("1",)
    assert table.inputs[:, 0].tolist() == [5, 7] * 30
    assert len(table.targets) == 60


def test_codes_of_a_first_line_are_codes(tmp_path):
    path = write(tmp_path / "mine.csv", [f"{row / 7},{row % 3:02}" for row in range(60)])
    asked = ("dataset.header=false", "dataset.target=2")
    assert dataset(path, *asked).read(tmp_path).classes == ("00", "01", "02")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,2,u", "3,v"], r"row 2 \(line 2\) has 2 fields, the first row 3"),
        ([], "the file is empty"),
        (["1;2;u", "3;4;v"], "the first row is separated by semicolon"),
    ],
)
def test_faults_of_a_file_without_a_header_are_said(lines, message, tmp_path):
    path = write(tmp_path / "mine.csv", lines)
    with pytest.raises(DataError, match=message):
        dataset(path, "dataset.header=false", "dataset.target=2").read(tmp_path)


def test_names_that_stand_twice_may_be_no_names(tmp_path):
    """As the first line of the UCI's cars: vhigh,vhigh,2,2 ..."""
    path = write(tmp_path / "mine.csv", ["low,low,u", *(f"{x},{x},{y}" for x, y in CARS)])
    data = obeyed(path, "dataset.target=3", "dataset.repeats=apart")
    assert data.features == ("1=high", "1=low", "2=high", "2=low")
    assert len(data.train) + len(data.validation) + len(data.test) == len(CARS) + 1


CARS = [("low", "u"), ("high", "v"), ("high", "u")] * 20


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_without_a_target_are_refused_and_left_out_by_the_cure(suffix, tmp_path):
    frame = made()
    frame.loc[[3, 50, 51], "kind"] = None
    path = saved(tmp_path, frame, f"mine.{suffix}")
    with pytest.raises(DataError, match=r"'kind' is missing in 3 of 120 rows .* is row 4\)") as e:
        dataset(path).load(0, tmp_path)
    data = dataset(path, *cures(str(e.value))).load(0, tmp_path)
    assert "mine: 3 of 120 rows have no target, and are left out" in data.summary
    kept = np.sort(np.concatenate([data.train.rows, data.validation.rows, data.test.rows]))
    assert kept.tolist() == [row for row in range(ROWS) if row not in (3, 50, 51)]
    for split in (data.train, data.validation, data.test):
        names = [data.classes[place] for place in split.targets]
        assert names == frame["kind"][split.rows].tolist()
    plain = saved(tmp_path, frame.dropna().reset_index(drop=True), "plain.csv")
    other = dataset(plain).load(0, tmp_path)
    assert torch.equal(other.train.inputs, data.train.inputs)


def test_of_several_targets_a_row_has_all(tmp_path):
    frame = made()
    frame.loc[3, "a"], frame.loc[5, "b"] = np.nan, np.nan
    path = saved(tmp_path, frame)
    asked = ("dataset.target=[a,b]", "dataset.rows_without_target=drop")
    table = dataset(path, *asked).read(tmp_path)
    assert np.array_equal(table.targets, frame[["a", "b"]].dropna().to_numpy())
    assert len(table.inputs) == ROWS - 2


def test_what_is_told_of_a_row_is_its_place_in_the_file(tmp_path):
    frame = made(part=["train", "val", "test"] * (ROWS // 3))
    frame.loc[3, "kind"] = None
    asked = ("dataset.rows_without_target=drop", "dataset.split=part")
    assert dataset(saved(tmp_path, frame), *asked).load(0, tmp_path).test.rows[0] == 2
    frame.loc[70, "part"] = "tset"
    with pytest.raises(DataError, match="row 71, column 'part': 'tset'"):
        dataset(saved(tmp_path, frame), *asked).load(0, tmp_path)
    frame.loc[70, "part"], frame.loc[70, "a"] = "test", np.inf
    with pytest.raises(DataError, match="row 71, column 'a': inf"):
        dataset(saved(tmp_path, frame), *asked).load(0, tmp_path)


def test_a_target_that_no_row_has_is_refused_all_the_same(tmp_path):
    path = saved(tmp_path, made(kind=None))
    with pytest.raises(DataError, match="'kind' is missing in 120 of 120 rows"):
        dataset(path, "dataset.rows_without_target=drop").read(tmp_path)


@pytest.mark.parametrize("written", [None, "{:.2f}%", "{:.3e}"])
def test_weights_are_those_of_the_column_with_a_mean_of_1_in_training(written, tmp_path):
    weights = np.random.default_rng(1).uniform(0, 5, ROWS).round(2)
    weights[7] = 0
    frame = made(w=weights if written is None else [written.format(one) for one in weights])
    path = saved(tmp_path, frame)
    data = dataset(path, "dataset.weight=w").load(0, tmp_path)
    assert data.features == ("a", "b")
    assert data.train.weights.dtype == torch.float32
    assert data.train.weights.mean().item() == pytest.approx(1)
    for split in (data.train, data.validation, data.test):
        expected = weights[split.rows] / weights[data.train.rows].mean()
        assert np.allclose(split.weights.numpy(), expected)
    without = dataset(path, "dataset.drop=w").load(0, tmp_path)
    assert without.train.weights is None
    assert torch.equal(without.train.inputs, data.train.inputs)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-1.0, "row 1, weight 'w': -1, expected a number that is not negative"),
        (0.0, "weight 'w' is 0 in every row"),
        (np.inf, "row 1, column 'w': inf, expected a finite number"),
        (np.nan, "weight 'w' is missing in 120 of 120 rows"),
        ("much", "weight 'w' is no number"),
        (True, "weight 'w' is no number"),
    ],
)
def test_what_is_no_weight_is_refused(weights, message, tmp_path):
    path = saved(tmp_path, made(w=weights))
    with pytest.raises(DataError, match=message):
        dataset(path, "dataset.weight=w").load(0, tmp_path)


def test_training_rows_without_a_weight_are_refused(tmp_path):
    parts = np.array(["train", "val", "test"] * (ROWS // 3))
    path = saved(tmp_path, made(part=parts, w=(parts != "train").astype(int)))
    with pytest.raises(DataError, match="weights of the training rows have the mean 0"):
        dataset(path, "dataset.weight=w", "dataset.split=part").load(0, tmp_path)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"weight": "kind"}, "dataset.weight: 'kind' is the target"),
        ({"weight": "a", "columns": ["a", "b"]}, "dataset.columns: 'a' says how much a row counts"),
        ({"weight": True}, "dataset.weight=?.*expected the name of one column"),
        ({"weight": ["a"]}, "dataset.weight.*expected the name of one column"),
        ({"weight": "ab"}, "dataset.weight: .* has no column 'ab'; nearest: b"),
        ({"rows_without_target": "keep"}, "dataset.rows_without_target.*'refuse' or 'drop'"),
        ({"header": "no"}, "dataset.header.*true or false"),
    ],
)
def test_settings_that_fit_nothing_are_refused(overrides, message, tmp_path):
    saved(tmp_path, made())
    with pytest.raises(ConfigError, match=message):
        make("table", **{"path": "mine.csv", "target": "kind", **overrides}).load(0, tmp_path)
