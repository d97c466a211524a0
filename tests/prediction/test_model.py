"""What a loaded run gives, against the outputs that training wrote; and runs that give nothing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from skops import io

import regexp
from regexp.dataset import fitted
from regexp.errors import ConfigError
from regexp.metrics.names import TEST_OUTPUTS
from regexp.metrics.outputs import RowOutputs, read
from regexp.tracking import Tracker, TrackingError
from regexp.tracking.stored import Reader
from tests.prediction.conftest import Place
from tests.prediction.support import same_bytes
from tests.sandbox import copy_runs


def outputs_in_store(place: Place, run_id: str) -> RowOutputs:
    with Reader(None, place.store).file(run_id, TEST_OUTPUTS) as path:
        assert path is not None
        return read(path)


def artifacts(place: Place, run_id: str) -> Path:
    return place.store / "artifacts" / run_id / "artifacts"


def test_classes_and_their_probabilities(place: Place, frame: pd.DataFrame) -> None:
    run_id = place.runs["class"][0]
    test, model = outputs_in_store(place, run_id), regexp.load(run_id)
    rows = frame.iloc[test.rows]
    assert model.classes == ("big", "small")
    assert np.allclose(model.predict_proba(rows), softmax(test.outputs.astype(float), axis=1))
    right = model.predict(rows) == rows["kind"]
    assert np.array_equal(right, test.outputs.argmax(1) == test.targets)
    table = model.table(rows)
    assert list(table) == ["prediction", "probability_big", "probability_small"]
    assert np.array_equal(table["prediction"], model.predict(rows))
    assert np.array_equal(table.iloc[:, 1:].to_numpy(), model.predict_proba(rows))


@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
def test_outputs_of_no_rows_are_of_the_runs_type(place: Place, precision: str) -> None:
    place.sweep(precision, "dataset=iris", "model.hidden=[4]", f"trainer.precision={precision}")
    model = regexp.load(place.runs[precision][0])
    rows = np.zeros((2, 4))
    assert model.outputs(rows[:0]).shape == (0, 3)
    assert model.outputs(rows[:0]).dtype == model.outputs(rows).dtype
    assert model.table(rows[:0]).empty


def test_values_in_the_targets_own_unit(place: Place, frame: pd.DataFrame) -> None:
    [run_id] = place.runs["value"]
    test, model = outputs_in_store(place, run_id), regexp.load(run_id)
    rows = frame.iloc[test.rows]
    assert np.array_equal(model.predict(rows), test.values[:, 0])
    assert 5e4 < model.predict(rows).mean() < 1.5e5
    assert np.allclose(test.truth[:, 0], rows["price"])
    assert list(model.table(rows)) == ["prediction"]
    with pytest.raises(ConfigError, match="a regression, which has no probabilities; call predict"):
        model.predict_proba(rows)


def test_labels_each_by_itself(place: Place, frame: pd.DataFrame) -> None:
    [run_id] = place.runs["labels"]
    test, model = outputs_in_store(place, run_id), regexp.load(run_id)
    rows = frame.iloc[test.rows]
    probabilities = expit(test.outputs.astype(float))
    assert np.allclose(model.predict_proba(rows), probabilities)
    assert np.array_equal(model.predict(rows), (probabilities > 0.5).astype(int))
    assert list(model.table(rows)) == [
        "prediction_wet", "prediction_warm", "probability_wet", "probability_warm",
    ]  # fmt: skip


def test_no_rows_and_one_row(place: Place, frame: pd.DataFrame) -> None:
    model = regexp.load(place.runs["class"][0])
    assert model.predict(frame[:0]).shape == (0,)
    assert model.predict_proba(frame[:0]).shape == (0, 2)
    first = regexp.load(place.runs["class"][0])
    assert np.allclose(first.predict_proba(frame[:1]), model.predict_proba(frame)[:1])


def test_rows_predict_the_same_again_and_after_others(place: Place, frame: pd.DataFrame) -> None:
    model = regexp.load(place.runs["class"][1])
    before = model.outputs(frame)
    model.outputs(frame[:3])
    assert same_bytes(model.outputs(frame), before)


def test_a_run_without_its_preparation_is_fitted_again(
    place: Place, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older version recorded it."""
    run_id = place.runs["class"][1]
    test = outputs_in_store(place, run_id)
    store = tmp_path / "store"
    copy_runs(place.store, store)
    shutil.rmtree(store / "artifacts" / run_id / "artifacts" / "model")
    model = regexp.load(run_id, store)
    [remark] = model.record.remarks
    assert remark.startswith("its preprocessing is not stored (an older version recorded it): fit")
    assert same_bytes(model.outputs(frame.iloc[test.rows]), test.outputs)

    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"data to fit it again cannot be read: .*paths\.data="):
        regexp.load(run_id, store, data=tmp_path / "none")
    Path("table.csv").write_text((place.folder / "table.csv").read_text() + "\n")
    with pytest.raises(ConfigError, match="data that are here are not those of the run"):
        regexp.load(run_id, store, data=tmp_path)


def test_neither_data_nor_checkpoints_are_needed(
    place: Place, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = place.runs["class"][0]
    wanted = regexp.load(run_id).outputs(frame)
    copy = tmp_path / "elsewhere"
    copy_runs(place.store, copy)
    for checkpoint in copy.glob("artifacts/*/artifacts/checkpoints"):
        shutil.rmtree(checkpoint)
    monkeypatch.chdir(tmp_path)
    assert same_bytes(regexp.load(run_id, copy).outputs(frame), wanted)


def test_a_sweep_a_failed_run_and_no_run_have_no_model(place: Place) -> None:
    with Tracker(None, "class", place.store) as tracker:
        [parent] = tracker.client.search_runs([tracker.experiment_id], "tags.`sweep.key` != ''")
        ids = {}
        for name, stage in (("broken", ""), ("ridge", "yardstick")):
            record = tracker.start(
                parent.info.run_id, name=name, fingerprint=name, params={}, tags={"stage": stage},
                artifacts={}, dataset={},
            )  # fmt: skip
            record.finish("FAILED" if name == "broken" else "FINISHED", "train/loss became nan")
            ids[name] = record.id
    with pytest.raises(TrackingError, match="is a sweep, not one of its runs"):
        regexp.load(parent.info.run_id)
    with pytest.raises(ConfigError, match=r"'broken' .*FAILED .*train/loss became nan"):
        regexp.load(ids["broken"])
    with pytest.raises(ConfigError, match=r"'ridge' .*a yardstick"):
        regexp.load(ids["ridge"])
    with pytest.raises(TrackingError, match="there is no run"):
        regexp.load("0" * 32)


def test_a_trial_has_no_model(place: Place) -> None:
    place.sweep(
        "trials", "dataset=iris", "model.hidden=[4]", "regularizer=l1", "tune.budget=2",
        "dataset.split_seed=0",
    )  # fmt: skip
    with Tracker(None, "trials", place.store) as tracker:
        found = tracker.client.search_runs([tracker.experiment_id], "tags.stage = 'tuning'")
    trial = found[0].info.run_id
    assert not (artifacts(place, trial) / "model").exists()
    with pytest.raises(ConfigError, match="it is a trial of a search"):
        regexp.load(trial)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("regexp.json", b"{", "regexp.json is not as regexp writes it"),
        ("regexp.json", b'{"format": 1}', "regexp.json is not as regexp writes it: config Field"),
        ("weights.pt", b"none", "expected a checkpoint written by regexp"),
    ],
)
def test_damaged_files_are_told(place: Place, name: str, content: bytes, told: str) -> None:
    run_id = place.runs["labels"][0]
    path = artifacts(place, run_id) / "model" / name
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        with pytest.raises(ConfigError, match=told):
            regexp.load(run_id)
    finally:
        path.write_bytes(before)


def test_a_damaged_preparation_is_told(place: Place) -> None:
    run_id = place.runs["labels"][0]
    path = artifacts(place, run_id) / "model" / "regexp.json"
    before = path.read_text()
    path.write_text(before.replace("sklearn.impute.SimpleImputer", "os.system"))
    try:
        with pytest.raises(ConfigError, match=r"regexp\.json has a preparation that .*os\.system"):
            regexp.load(run_id)
    finally:
        path.write_text(before)


def test_a_preparation_by_skops_is_read(place: Place, frame: pd.DataFrame) -> None:
    """As runs of older versions have it, and those with a transformer of the user's own."""
    run_id = place.runs["labels"][0]
    expected = regexp.load(run_id).predict_proba(frame)
    folder = artifacts(place, run_id) / "model"
    before = (folder / "regexp.json").read_text()
    description = json.loads(before)
    pipeline = fitted.decoded(description["preparation"].pop("pipeline"))
    description["format"] = 1
    (folder / "regexp.json").write_text(json.dumps(description))
    stored = folder / "preparation.skops"
    stored.write_bytes(io.dumps(pipeline))
    try:
        assert same_bytes(regexp.load(run_id).predict_proba(frame), expected)
        stored.write_bytes(b"none")
        with pytest.raises(
            ConfigError, match=r"preparation\.skops has a .*cannot be read \(BadZip"
        ):
            regexp.load(run_id)
    finally:
        stored.unlink()
        (folder / "regexp.json").write_text(before)
