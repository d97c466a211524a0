"""Files of whole series: held against the numbers that were written, NumPy and scikit-learn."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from regexp.dataset.base import DataError
from regexp.dataset.ts_file import read_ts
from regexp.errors import ConfigError
from tests.dataset.made import make, ts_lines, ts_series, write

HEADER = ["@timeStamps false", "@classLabel true a b", "@data"]


def two_files(folder, **overrides):
    write(folder / "Made_TRAIN.ts", ts_lines(60))
    write(folder / "Made_TEST.ts", ts_lines(20))
    return make("ts", path="Made_TRAIN.ts", test_path="Made_TEST.ts", **overrides)


def test_series_classes_and_the_published_test(tmp_path):
    dataset = two_files(tmp_path)
    table = dataset.table_of(tmp_path)
    assert table.name == "Made"
    assert table.classes == ("Up", "dOWN")  # as declared; of x there is none
    assert table.targets.tolist() == [1, 0] * 40
    assert table.columns[:3] == ("channel 0[0]", "channel 1[0]", "channel 0[1]")
    written = np.concatenate([ts_series(60), ts_series(20)])
    assert np.array_equal(table.inputs.reshape(80, 7, 2), written)
    for seed in (0, 1):
        data = dataset.load(seed, tmp_path)
        assert data.test.rows.tolist() == list(range(60, 80))
        assert [len(data.train), len(data.validation)] == [48, 12]
        assert data.test.inputs.shape == (20, 7, 2)
        scaler = StandardScaler().fit(written[data.train.rows].reshape(-1, 2))
        wanted = scaler.transform(written[60:].reshape(-1, 2)).reshape(20, 7, 2)
        assert np.allclose(data.test.inputs[:], wanted, atol=1e-6)


def test_a_channel_of_one_value_in_the_training_rows_is_zero_in_all(tmp_path):
    data = [f"{row},{row % 7},{row % 5}:{5000 if row >= 40 else 3},3,3:{'ab'[row % 2]}"
            for row in range(60)]  # fmt: skip
    write(tmp_path / "Made_TRAIN.ts", [*HEADER, *data[:40]])
    write(tmp_path / "Made_TEST.ts", [*HEADER, *data[40:]])
    data = make("ts", path="Made_TRAIN.ts", test_path="Made_TEST.ts").load(0, tmp_path)
    assert not data.test.inputs[:][..., 1].any()


def test_one_file_is_split_by_the_seed(tmp_path):
    (tmp_path / "a.ts.gz").write_bytes(gzip.compress("\n".join(ts_lines(50)).encode()))
    data = make("ts", path="a.ts.gz").load(0, tmp_path)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [30, 10, 10]
    assert data.name == "a"


@pytest.mark.parametrize("pad", ["start", "end"])
def test_shorter_series_are_padded_by_the_mean_if_asked(pad, tmp_path):
    write(tmp_path / "long.ts", ts_lines(40, 9))
    write(tmp_path / "short.ts", ts_lines(20, 6))
    both = {"path": "long.ts", "test_path": "short.ts"}
    with pytest.raises(DataError, match=r"of 6 to 9 steps.*set dataset\.pad=end \(or start\)"):
        make("ts", **both).load(0, tmp_path)
    data = make("ts", **both, pad=pad).load(0, tmp_path)
    tested = data.test.inputs[:].numpy()
    padded, kept = (slice(3), slice(3, 9)) if pad == "start" else (slice(6, 9), slice(6))
    assert tested.shape == (20, 9, 2)
    assert (tested[:, padded] == 0).all()
    seen = ts_series(40, 9)[data.train.rows].reshape(-1, 2)
    wanted = (ts_series(20, 6) - seen.mean(0)) / seen.std(0)
    assert np.allclose(tested[:, kept], wanted, atol=1e-6)


def test_padding_has_no_say_in_the_scale(tmp_path):
    short, long = ["1,2:a", "3,4:b"] * 10, ["5,6,7,8:a"] + ["5,6,7,9:b"] * 4
    write(tmp_path / "a.ts", [*HEADER, *short, *long])
    data = make("ts", path="a.ts", pad="end", repeats="apart").load(0, tmp_path)
    rows = [*short, *long]
    seen = [float(word) for row in data.train.rows for word in rows[row].split(":")[0].split(",")]
    row = int(np.flatnonzero(data.train.rows < 20)[0])
    first = float(rows[data.train.rows[row]][0])
    wanted = [(value - np.mean(seen)) / np.std(seen) for value in (first, first + 1)]
    found = data.train.inputs[:].numpy()[row, :, 0]
    assert np.allclose(found, np.array([*wanted, 0, 0], dtype=float), atol=1e-6)


def test_new_series_are_read_as_those_of_the_run(tmp_path):
    dataset = two_files(tmp_path)
    preparation = dataset.load(0, tmp_path).preparation
    body = [line.rpartition(":")[0] + ":?" for line in ts_lines(20)[7:]]
    path = write(tmp_path / "new.ts", [*ts_lines(20)[:7], *body])
    read = dataset.read_inputs(path, preparation)
    assert np.array_equal(read.reshape(20, 7, 2), ts_series(20))
    assert np.array_equal(dataset.read_inputs(ts_series(20), preparation), read)
    assert np.array_equal(dataset.read_inputs(ts_series(20).reshape(20, -1), preparation), read)
    with pytest.raises(DataError, match=r"shape \[20, 2, 7\], expected \[rows, 7, 2\]"):
        dataset.read_inputs(ts_series(20).transpose(0, 2, 1), preparation)  # channels first
    for wrong in (ts_lines(20, 8), ts_lines(20, 6), [*HEADER, "1,2,3,4,5,6,7:a"]):
        with pytest.raises(DataError, match="the run was trained on 7 steps and 2 channels"):
            dataset.read_inputs(write(tmp_path / "new.ts", wrong), preparation)
    padded = make("ts", path="Made_TRAIN.ts", pad="end")
    short = padded.read_inputs(write(tmp_path / "new.ts", ts_lines(20, 6)), preparation)
    assert np.isnan(short.reshape(20, 7, 2)[:, 6]).all()


@pytest.mark.parametrize("pad", ["start", "end", None])
def test_gaps_of_new_series_in_an_array_are_no_padding(pad, tmp_path):
    preparation = two_files(tmp_path).load(0, tmp_path).preparation
    asked = {"path": "Made_TRAIN.ts", "pad": pad}
    whole = ts_series(20)
    if pad is not None:
        whole[:, slice(2) if pad == "start" else slice(5, 7)] = np.nan
    gone = whole.copy()
    gone[3, 3, 1] = np.nan
    before = gone.copy()
    with pytest.raises(DataError, match="series 4 has missing values; set dataset"):
        make("ts", **asked).read_inputs(gone, preparation)
    read = make("ts", **asked, interpolate=True).read_inputs(gone, preparation)
    assert np.array_equal(gone, before, equal_nan=True), "the caller's own"
    filled = read.reshape(20, 7, 2)
    assert filled[3, 3, 1] == pytest.approx((whole[3, 2, 1] + whole[3, 4, 1]) / 2)
    filled[3, 3, 1] = whole[3, 3, 1]
    assert np.array_equal(filled, whole, equal_nan=True)
    gone[5, :, 0] = np.nan
    with pytest.raises(DataError, match="series 6 has a channel without a value"):
        make("ts", **asked, interpolate=True).read_inputs(gone, preparation)


def test_missing_values_are_refused_or_interpolated(tmp_path):
    body = ["1,?,NaN,4:a", "?,2,2,?:b"] * 10
    write(tmp_path / "a.ts", [*HEADER, *body])
    with pytest.raises(DataError, match=r"a\.ts: series 1 \(line 4\) has missing values; set"):
        make("ts", path="a.ts").load(0, tmp_path)
    filled = make("ts", path="a.ts", interpolate=True).table_of(tmp_path)
    assert filled.inputs[:2].tolist() == [[1, 2, 3, 4], [2, 2, 2, 2]]
    write(tmp_path / "b.ts", [*HEADER, "?,?:a"])
    with pytest.raises(DataError, match=r"series 1 .* has a channel without a value"):
        make("ts", path="b.ts", interpolate=True).load(0, tmp_path)


def test_a_number_to_predict(tmp_path):
    header = ["@problemName r", "@TIMESTAMPS False", "@targetLabel true", "@DATA"]
    body = [f"{row},{row % 7}:{row / 4}" for row in range(40)]
    write(tmp_path / "a.ts", [*header, *body])
    data = make("ts", path="a.ts").load(0, tmp_path)
    assert data.task == "regression"
    scale = data.target_scale
    assert data.test.targets.shape == (8, 1)
    unscaled = data.test.targets[:, 0].numpy() * scale.scale[0] + scale.mean[0]
    assert np.allclose(unscaled, data.test.rows / 4, atol=1e-5)
    write(tmp_path / "b.ts", [*header, "1,2:x"])
    with pytest.raises(
        DataError, match=r"series 1 \(line 5\) has the target 'x', expected a finite"
    ):
        make("ts", path="b.ts").load(0, tmp_path)
    write(tmp_path / "c.ts", [*HEADER, "1,2:a"])
    with pytest.raises(
        DataError, match=r"of 1 channel and a class, but .* a\.ts are of 1 channel and a num"
    ):
        make("ts", path="a.ts", test_path="c.ts").load(0, tmp_path)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no line says @data"),
        (["@", "@timeStamps"], "no line says @data"),
        (["@data", "1:a"], "declares nothing to predict"),
        (["@classLabel true", "@data", "1:a"], "declares nothing to predict"),
        (["@classLabel false", "@data", "1"], "declares nothing to predict"),
        (["@timeStamps maybe", *HEADER[1:]], "@timestamps says 'maybe', expected true or false"),
        (["@timeStamps true", *HEADER[1:], "(0,1):a"], "time stamps are not read"),
        (["x,y", "1,2"], "line 1 stands before @data"),
        (HEADER, "a header and no series"),
        ([*HEADER, "1,2"], "series 1 \\(line 4\\) has no colon"),
        ([*HEADER, "", "1,2:a", "# no", "1,2:c"], "series 2 \\(line 7\\): 'c' is none of .*a, b"),
        ([*HEADER, "1,x:a"], "series 1 \\(line 4\\): 'x' is no finite number"),
        ([*HEADER, "1,inf:a"], "'inf' is no finite number"),
        ([*HEADER, "1,:a"], "'' is no finite number"),
        ([*HEADER, "1,2:3:a"], "has channels of 1 to 2 values"),
        ([*HEADER, "1,2:a", "1:2:a"], "series 2 .* has 2 channels, the first 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(lines, message, tmp_path):
    path = write(tmp_path / "a.ts", lines)
    with pytest.raises(DataError, match=message):
        read_ts(path)


@pytest.mark.parametrize(
    ("declared", "after"),
    [("false", ""), ("true a b", ""), ("true a b", ":?"), ("false", ":c"), ("true a b", ":a")],
)
def test_rows_to_predict_need_no_class(declared, after, tmp_path):
    lines = ["@timeStamps false", f"@classLabel {declared}", "@data"]
    path = write(tmp_path / "a.ts", [*lines, f"1,2:3,4{after}", f"5,6:7,8{after}"])
    file = read_ts(path, channels=2)
    assert [one.tolist() for one in file.series] == [[[1, 3], [2, 4]], [[5, 7], [6, 8]]]


@pytest.mark.parametrize(("key", "value"), [("pad", "left"), ("pad", True), ("interpolate", 1)])
def test_settings_out_of_range_are_refused(key, value):
    with pytest.raises(ConfigError, match=rf"dataset\.{key}: expected"):
        make("ts", **{"path": "a.ts", key: value})
