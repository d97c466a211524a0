"""Exported programs against the run's own predictions, on the rows of its file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import Tensor, nn

import regexp
from regexp.__main__ import run
from regexp.dataset import fitted
from regexp.dataset.features import UnseenAsMissing
from regexp.prediction import program
from regexp.prediction.export import description_of
from tests.dataset.made import ts_lines, ts_series, write
from tests.prediction.conftest import Place

Run = Callable[[NDArray[Any]], NDArray[Any]]


def torch_program(path: Path) -> Run:
    program = torch.export.load(path).module()
    return lambda rows: program(torch.from_numpy(rows)).numpy()


def onnx_program(path: Path) -> Run:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path)
    return lambda rows: session.run(None, {"rows": rows})[0]


@pytest.mark.parametrize(("suffix", "opened"), [("pt2", torch_program), ("onnx", onnx_program)])
@pytest.mark.parametrize("name", ["class", "value", "labels"])
def test_raw_rows_of_a_table(
    place: Place, frame: pd.DataFrame, tmp_path: Path, name: str, suffix: str,
    opened: Callable[[Path], Run],
) -> None:  # fmt: skip
    if suffix == "onnx":
        pytest.importorskip("onnxscript")
    path, run_id = tmp_path / f"model.{suffix}", place.runs[name][0]
    assert run(["export-model", run_id, str(path)]) == 0
    model = regexp.load(run_id)
    described = json.loads(description_of(path).read_text())
    assert described["input"]["columns"] == list(model.columns)
    levels = described["input"]["levels"]
    rows = np.empty((len(frame), len(model.columns)))
    for place_of, column in enumerate(described["input"]["columns"]):  # as the description says
        values = frame[column]
        if column == "share":
            values = values.str.rstrip("%").astype(float)
        elif column in levels:
            values = values.fillna("missing").map(levels[column].index)
        rows[:, place_of] = values
    program = opened(path)
    wanted = model.predict(frame)[:, None] if name == "value" else model.predict_proba(frame)
    assert np.allclose(program(rows), wanted, rtol=1e-6)
    assert np.allclose(program(rows[:1]), wanted[:1], rtol=1e-6)
    name_of, own = next(iter(levels.items()))
    category = described["input"]["columns"].index(name_of)
    for unknown in (np.nan, -1, len(own), 0.5):
        rows[2, category] = unknown
        given = program(rows)
        assert np.isnan(given[2]).all()
        assert np.allclose(np.delete(given, 2, 0), np.delete(wanted, 2, 0), rtol=1e-6)


class Branching(nn.Module):
    """A user's own network, of which no program can be made."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(input_shape[0], outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(x if float(x.sum()) > 0 else -x)


def test_what_cannot_be_exported_is_told_in_one_line(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = f"{__name__}.Branching"
    place.sweep(
        "branching", "dataset=iris", f"model._target_={own}", "~model.hidden", "~model.activation"
    )
    path, [run_id] = tmp_path / "model.pt2", place.runs["branching"]
    capsys.readouterr()
    assert run(["export-model", run_id, str(path)]) == 2
    assert f"--allow {own}" in capsys.readouterr().err
    assert run(["export-model", run_id, str(path), "--allow", own]) == 2
    told = capsys.readouterr().err
    assert told.startswith("regexp: regexp export-model: Branching cannot be exported (")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("dataset=digits", "model=cnn", "model.channels=[4,4]", "dataset.train_size=64"),
        ("dataset=series", "model=lstm"),
        ("dataset=mnist1d", "dataset.train_size=64", "model.hidden=[8]"),
        ("dataset=wine", "model=mlp_ple", "model.hidden=[8]"),
        ("dataset=breast_cancer", "model=realmlp", "model.hidden=[8]"),
    ],
    ids=["images", "series", "curves", "bins", "robust"],
)
def test_rows_that_are_arrays(place: Place, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    name = "-".join(arguments[0].split("="))
    place.sweep(name, *arguments)
    path, run_id = tmp_path / "model.pt2", place.runs[name][0]
    assert run(["export-model", run_id, str(path)]) == 0
    model = regexp.load(run_id)
    described = json.loads(description_of(path).read_text())["input"]
    assert not described["prepared"]
    rows = np.random.default_rng(0).uniform(0, 16, (7, *described["shape"][1:]))
    got = torch_program(path)(rows)
    wanted = model.predict_proba(rows) if model.classes else model.predict(rows).reshape(7, -1)
    assert np.allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("suffix", "opened"), [("pt2", torch_program), ("onnx", onnx_program)])
def test_raw_series_with_gaps(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str,
    opened: Callable[[Path], Run],
) -> None:  # fmt: skip
    """As `regexp predict` reads their file, NaN where it pads the shorter ones."""
    if suffix == "onnx":
        pytest.importorskip("onnxscript")
    write(tmp_path / "long.ts", ts_lines(40, 9))
    new = write(tmp_path / "short.ts", ts_lines(20, 6))
    place.sweep(
        f"padded-{suffix}", "dataset=ts", f"dataset.path={tmp_path}/long.ts",
        f"dataset.test_path={new}", "dataset.pad=end", "model=lstm", "trainer.batch_size=16",
    )  # fmt: skip
    path, [run_id] = tmp_path / f"model.{suffix}", place.runs[f"padded-{suffix}"]
    capsys.readouterr()
    assert run(["export-model", run_id, str(path)]) == 0
    assert capsys.readouterr().out.count("\n") == 1, "nothing is left to be prepared"
    described = json.loads(description_of(path).read_text())["input"]
    assert described["shape"] == ["rows", 9, 2]
    assert described["columns"][:3] == ["channel 0[0]", "channel 1[0]", "channel 0[1]"]
    rows = np.full((20, 9, 2), np.nan)
    rows[:, :6] = ts_series(20, 6)
    model, got = regexp.load(run_id), opened(path)(rows)
    assert np.allclose(got, model.predict_proba(new), rtol=1e-6)
    assert np.allclose(got, model.predict_proba(rows), rtol=1e-6)
    assert not np.allclose(got, opened(path)(np.nan_to_num(rows)), rtol=1e-3)


def test_what_techniques_predict_is_said_to_be_left_out(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.sweep("mc", "dataset=iris", "model.hidden=[8]", "regularizer=[dropout,mc_dropout]")
    path = tmp_path / "model.pt2"
    assert run(["export-model", place.runs["mc"][0], str(path)]) == 0
    assert "the mean over several passes that mc_dropout predicts" in capsys.readouterr().out
    assert json.loads(description_of(path).read_text())["not_in_it"] == ["mc_dropout"]


@pytest.mark.parametrize("technique", ["batch_ensemble", "tabm", "temperature_scaling"])
def test_predictions_of_one_pass_are_in_the_program(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], technique: str
) -> None:
    place.sweep(
        technique, "dataset=iris", "model.hidden=[8]", f"regularizer={technique}", "seeds=2"
    )
    path, run_id = tmp_path / "model.pt2", place.runs[technique][0]
    capsys.readouterr()
    assert run(["export-model", run_id, str(path)]) == 0
    assert "predicts" not in capsys.readouterr().out
    rows = np.random.default_rng(0).uniform(0, 6, (7, 4))
    wanted = regexp.load(run_id).predict_proba(rows)
    assert np.allclose(torch_program(path)(rows), wanted, rtol=1e-5)
    assert np.allclose(torch_program(path)(rows[:1]), wanted[:1], rtol=1e-5)


def test_pipelines_of_earlier_versions_are_programs_too() -> None:
    """Runs have stored them, and nothing fits one any more."""
    rows = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan], [5.0, np.nan, 4.0]])
    scaler = make_pipeline(
        UnseenAsMissing(),
        SimpleImputer(strategy="median", keep_empty_features=True),
        StandardScaler(),
    ).fit(rows)
    read = fitted.decoded(json.loads(json.dumps(fitted.encoded(scaler))))
    new = np.array([[2.0, 7.0, np.nan], [np.nan, np.nan, 9.0]])
    wanted = scaler.transform(new)
    assert np.array_equal(read.transform(new), wanted)
    made = program._module_of(read)
    assert made is not None
    assert np.array_equal(made(torch.from_numpy(new)).numpy(), wanted)


ROWS = np.array([[0.2, 1.0, 3.0], [np.nan, 2.0, 5.0], [1.4, 0.0, 4.0], [0.6, 1.0, 9.0]])


class Clipped(StandardScaler):
    def transform(self, X: Any, copy: bool | None = None) -> Any:
        return np.clip(super().transform(X), -0.5, 0.5)


def beside(numbers: Any, **options: Any) -> ColumnTransformer:
    codes = ("codes", OneHotEncoder(sparse_output=False), [1])
    return ColumnTransformer([("numbers", numbers, [0, 2]), codes], **options)


@pytest.mark.parametrize(
    ("transformer", "known"),
    [
        (StandardScaler(), True),
        (StandardScaler(with_mean=False), True),
        (StandardScaler(with_std=False), True),
        (SimpleImputer(), True),
        (beside(SimpleImputer()), True),
        (beside("drop"), True),
        (ColumnTransformer([("mask", StandardScaler(), [True, True, True])]), True),
        (ColumnTransformer([("mask", SimpleImputer(), np.array([True, False, True]))]), True),
        (ColumnTransformer([("slice", SimpleImputer(), slice(1, 3)), ("drop", "drop", 0)]), True),
        (Clipped(), False),
        (SimpleImputer(missing_values=0.2), False),
        (SimpleImputer(add_indicator=True), False),
        (beside(SimpleImputer(), transformer_weights={"codes": 3.0}), False),
        (beside("passthrough"), False),
        (MissingIndicator(), False),
        (beside(OneHotEncoder(drop="first", sparse_output=False)), False),
    ],
    ids=str,
)
def test_a_transformer_with_other_settings_is_as_scikit_learn_has_it_or_no_program(
    transformer: Any, known: bool
) -> None:
    fit = transformer.fit(ROWS if known else np.nan_to_num(ROWS))
    module = program._module_of(fit)
    assert (module is not None) == known
    if module is not None:
        ours = module(torch.from_numpy(ROWS)).numpy()
        assert np.array_equal(ours, fit.transform(ROWS), equal_nan=True)


def test_a_run_in_bfloat16_is_said_to_be_a_program_in_float32(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.sweep("half", "dataset=iris", "model.hidden=[8]", "trainer.precision=bfloat16")
    path, [run_id] = tmp_path / "model.pt2", place.runs["half"]
    capsys.readouterr()
    assert run(["export-model", run_id, str(path)]) == 0
    assert "It computes in float32, the run in bfloat16" in capsys.readouterr().out
    assert json.loads(description_of(path).read_text())["computes_in"] == "float32"
    rows = np.random.default_rng(0).uniform(0, 6, (7, 4))
    off = np.abs(torch_program(path)(rows) - regexp.load(run_id).predict_proba(rows)).max()
    assert 1e-6 < off < 0.01


@pytest.mark.parametrize("technique", ["none", "temperature_scaling"])
def test_a_run_in_float64_is_a_program_in_float64(
    place: Place, tmp_path: Path, technique: str
) -> None:
    name = f"double-{technique}"
    place.sweep(
        name, "dataset=iris", "model.hidden=[8]", "trainer.precision=float64",
        f"regularizer={technique}",
    )  # fmt: skip
    path, run_id = tmp_path / "model.pt2", place.runs[name][0]
    assert run(["export-model", run_id, str(path)]) == 0
    rows = np.random.default_rng(0).uniform(0, 6, (7, 4))
    wanted = regexp.load(run_id).predict_proba(rows)
    assert np.abs(torch_program(path)(rows) - wanted).max() < 1e-12
