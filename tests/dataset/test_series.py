"""Windows over a series, against loops in numpy; nothing is learned from the future."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression

from regexp.dataset.base import DataError
from tests.dataset.made import make, real_folder, series_lines, write


def series(folder, lines=None, **overrides):
    write(folder / "mine.csv", series_lines(["a", "b"]) if lines is None else lines)
    return make("series", **{"path": "mine.csv", "target": "a", **overrides})


def read(folder, *names):
    header, *rows = (folder / "mine.csv").read_text().splitlines()
    places = [header.split(",").index(name) for name in names]
    return np.array([[float(row.split(",")[place]) for place in places] for row in rows])


@pytest.mark.parametrize("stride", [1, 3])
@pytest.mark.parametrize(("window", "horizon"), [(1, 1), (5, 1), (4, 3)])
@pytest.mark.parametrize("train_size", [None, 7])
def test_windows_splits_and_scaling(window, horizon, stride, train_size, tmp_path):
    data = series(
        tmp_path, columns=["b", "a"], window=window, horizon=horizon, stride=stride,
        train_size=train_size,
    ).load(0, tmp_path)  # fmt: skip
    values = read(tmp_path, "b", "a")
    parts = {"train": (0, 120), "validation": (120, 160), "test": (160, 200)}
    starts = {
        key: [t for t in range(first, end, stride) if t + window + horizon <= end]
        for key, (first, end) in parts.items()
    }
    starts["train"] = starts["train"][-(train_size or len(values)) :]
    past = values[starts["train"][0] : starts["train"][-1] + window + horizon]
    scaled = (values - past.mean(0)) / past.std(0)
    for key, own in starts.items():
        split = getattr(data, key)
        assert split.inputs.shape == (len(own), window, 2)
        assert split.targets.shape == (len(own), horizon)
        for row, t in enumerate(own):
            assert np.allclose(split.inputs[row], scaled[t : t + window], atol=1e-5)
            ahead = scaled[t + window : t + window + horizon, 1]
            assert np.allclose(split.targets[row], ahead, atol=1e-5)
    assert data.features[-2:] == ("b[-1]", "a[-1]")
    assert len(data.features) == 2 * window


def test_windows_that_cross_a_border_are_dropped(tmp_path):
    """At each border window + horizon - 1 of them."""
    data = series(tmp_path, window=6, horizon=2).load(0, tmp_path)
    assert [len(data.train), len(data.validation), len(data.test)] == [113, 33, 33]
    assert 200 - 7 - (113 + 33 + 33) == 2 * (6 + 2 - 1)


def test_naive_forecast_and_its_unit(tmp_path):
    data = series(tmp_path, window=6, horizon=2).load(0, tmp_path)
    (scale, _), (mean, _) = data.target_scale.scale, data.target_scale.mean
    values = read(tmp_path, "a")[:, 0]
    for key, first, end in (("train", 0, 120), ("validation", 120, 160), ("test", 160, 200)):
        errors = [
            values[t + 6 + step] - values[t + 5] for t in range(first, end - 7) for step in (0, 1)
        ]
        expected = np.sqrt(np.mean(np.square(errors)))
        assert data.naive[key] * scale == pytest.approx(expected, rel=1e-9)
        # The target as a channel is scaled as the target: the last input is the naive forecast.
        split = getattr(data, key)
        error = split.inputs[:, -1:, 0] - split.targets
        assert float(error.square().mean().sqrt()) == pytest.approx(data.naive[key], rel=1e-5)
    assert np.allclose(data.test.targets[:, 0].numpy() * scale + mean, values[166:199], atol=1e-4)


def test_nothing_is_learned_from_the_future(tmp_path):
    before = series(tmp_path).load(0, tmp_path)
    lines = series_lines(["a", "b"])
    changed = [*lines[:121], *(f"later,{row * 100},{row}" for row in range(80))]
    after = series(tmp_path, changed).load(0, tmp_path)
    assert torch.equal(before.train.inputs, after.train.inputs)
    assert torch.equal(before.train.targets, after.train.targets)
    assert before.target_scale == after.target_scale
    assert before.naive["train"] == after.naive["train"]
    assert not torch.equal(before.test.inputs, after.test.inputs)


def test_every_seed_shares_the_split(tmp_path):
    dataset = series(tmp_path)
    assert dataset.load(0, tmp_path) is dataset.load(1, tmp_path)


def test_a_target_that_is_no_channel(tmp_path):
    data = series(tmp_path, columns=["b"], target="a").load(0, tmp_path)
    both = series(tmp_path, columns=["b", "a"], target="a").load(0, tmp_path)
    assert torch.equal(data.test.inputs[..., 0], both.test.inputs[..., 0])
    assert torch.equal(data.test.targets, both.test.targets)
    assert data.naive == both.naive


def test_one_channel_is_no_list_of_its_letters(tmp_path):
    lines = series_lines(["ab", "3"])
    data = series(tmp_path, lines, columns="ab", target=3).load(0, tmp_path)
    assert data.features[-1] == "ab[-1]"
    assert data.train.inputs.shape[-1] == 1


def test_new_windows_have_time_before_channels(tmp_path):
    dataset = series(tmp_path, columns=["a", "b"], window=6)
    preparation = dataset.load(0, tmp_path).preparation
    steps = read(tmp_path, "a", "b")
    wanted = dataset.read_inputs(tmp_path / "mine.csv", preparation)
    swapped = np.lib.stride_tricks.sliding_window_view(steps, 6, axis=0)
    assert np.array_equal(dataset.read_inputs(swapped.transpose(0, 2, 1), preparation), wanted)
    with pytest.raises(DataError, match=r"2, 6\], expected \[rows, 6, 2\]"):
        dataset.read_inputs(swapped, preparation)
    numbered = make("series", path="mine.csv", target="0", columns=["0", "1"], window=6)
    frame = pd.DataFrame(steps)  # whose columns are called 0 and 1
    frame.to_csv(tmp_path / "mine.csv", index=False)
    preparation = numbered.load(0, tmp_path).preparation
    assert np.array_equal(numbered.read_inputs(frame, preparation), wanted)


def test_a_series_that_is_written_otherwise_is_told_how_that_of_the_run_is(tmp_path):
    dataset = series(tmp_path)
    preparation = dataset.load(0, tmp_path).preparation
    write(tmp_path / "new.csv", ["a", *['"0,5"'] * 40])
    with pytest.raises(DataError, match=r"'0,5' is no number; write it .* decimals after '\.'"):
        dataset.read_inputs(tmp_path / "new.csv", preparation)


def test_a_channel_that_does_not_vary_in_the_past_is_zero(tmp_path):
    lines = ["a,b", *(f"{np.sin(row)},{7 if row < 70 else 5000}" for row in range(100))]
    data = series(tmp_path, lines, columns=["a", "b"]).load(0, tmp_path)
    assert not data.test.inputs[..., 1].any()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"path": "no.csv"}, "dataset.path: no 'no.csv' in .* nor in"),
        ({"target": "c"}, "has no column 'c'"),
        ({"columns": ["c"]}, "has no column 'c'"),
        ({"columns": ["date"]}, r"column 'date': '2020-01-01 0' is no number"),
        ({"window": 40}, r"40 \+ 1 steps are more than the 40 of the validation part"),
        ({"window": 150}, r"150 \+ 1 steps are more than the 120 of the train part"),
        ({"sha256": "0" * 64}, "not the file that was expected"),
        ({"path": None, "columns": ["b"]}, "the sunspots have the one column SUNACTIVITY, got b"),
    ],
)
def test_what_does_not_fit_the_file_is_said(overrides, message, tmp_path):
    with pytest.raises(DataError, match=message):
        series(tmp_path, **overrides).load(0, tmp_path)


def test_train_size_beyond_the_training_part_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"dataset.train_size: 110 rows .* of mine has 109"):
        series(tmp_path, train_size=110).load(0, tmp_path)


def test_a_gap_and_a_constant_target_are_refused(tmp_path):
    lines = series_lines(["a", "b"])
    lines[7] = "2020-01-01,,1"
    with pytest.raises(DataError, match=r"row 7 \(line 8\), column 'a': empty"):
        series(tmp_path, lines).load(0, tmp_path)
    lines = ["a", *["3"] * 90, *(str(row) for row in range(60))]
    with pytest.raises(DataError, match="column 'a' is 3 throughout the training part"):
        series(tmp_path, lines).load(0, tmp_path)


def test_missing_file_is_downloaded_from_its_address(server, tmp_path):
    columns = [*"abcdef", "OT"]
    content = "".join(f"{line}\n" for line in series_lines(columns)).encode()
    server.files["/ETTh1.csv"] = content
    sha256 = hashlib.sha256(content).hexdigest()
    dataset = make("etth1", url=f"{server.address}/ETTh1.csv", sha256=sha256, columns=columns)
    data = dataset.load(0, tmp_path / "data")
    assert data.name == "ETTh1"
    assert data.checksum == sha256
    assert (tmp_path / "data" / "ETTh1.csv").read_bytes() == content
    with pytest.raises(DataError, match=r"no ETTh1.csv in .* could not be downloaded"):
        make("etth1", url=f"{server.address}/gone.csv").load(0, tmp_path / "other")


def skill(data, split):
    """1 - RMSE / RMSE of the naive forecast, of a linear model of the window."""
    model = LinearRegression().fit(data.train.inputs.flatten(1), data.train.targets)
    part = getattr(data, split)
    error = model.predict(part.inputs.flatten(1)) - part.targets.numpy()
    return 1 - np.sqrt(np.mean(error**2)) / data.naive[split]


def test_sunspots_and_the_skill_of_a_linear_model(tmp_path):
    """Yardsticks: naive RMSE 30.1 sunspots on the test years; a linear model saves 42%."""
    data = make("series").load(0, tmp_path)
    assert data.name == "sunspots"
    assert [len(data.train), len(data.validation), len(data.test)] == [174, 51, 51]
    assert data.naive["test"] * data.target_scale.scale[0] == pytest.approx(30.06, abs=0.01)
    assert skill(data, "test") == pytest.approx(0.416, abs=0.005)


def test_real_etth1():
    """Yardsticks: naive RMSE 0.656 degrees, which a linear model of 24 hours does not beat."""
    data = make("etth1").load(0, real_folder("ETTh1.csv"))
    assert data.checksum.startswith("f18de3ad")
    assert data.train.inputs.shape == (10428, 24, 7)
    assert data.naive["test"] * data.target_scale.scale[0] == pytest.approx(0.6555, abs=0.0005)
    assert skill(data, "test") == pytest.approx(-0.037, abs=0.005)
