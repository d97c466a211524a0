"""Runs read back from the store; the oracle is what was recorded."""

import math
from pathlib import Path

import pytest

from regexp.tracking import RunRecord, Tracker, TrackingError, artifacts, query
from regexp.tracking.stored import Reader
from tests.tracking.runs import curve, start


def test_a_run_comes_back_as_it_was_recorded(
    fresh_store: Path, tracker: Tracker, sweep: RunRecord, tmp_path: Path
):
    record = start(tracker, sweep.id, artifacts={"config.yaml": "seed: 3\n"})
    values = [0.1 + 0.2, 5e-324, math.inf, -math.inf, 1 / 3]
    for epoch, value in enumerate(values, start=1):
        record.metrics({"val/loss": value}, epoch)
    record.metrics({"train/loss": math.nan}, 1)
    record.summary({"test/loss": 0.25})
    (tmp_path / "last.pt").write_bytes(b"bytes")
    record.artifact(tmp_path / "last.pt", "checkpoints")
    record.finish("FAILED", "too bad")
    reader = Reader(None, fresh_store)
    run = reader.run(record.id)
    assert (run.run_id, run.sweep_id, run.status) == (record.id, sweep.id, "FAILED")
    assert run.tags["reason"] == "too bad"
    assert run.metrics["val/loss"] == dict(enumerate(values, start=1))
    assert math.isnan(run.metrics["train/loss"][1])
    assert run.metrics["test/loss"] == {0: 0.25}
    assert reader.text(record.id, "checkpoints") is None  # a folder
    with reader.file(record.id, "checkpoints/last.pt") as path:
        assert path is not None
        assert path.read_bytes() == b"bytes"
    assert not path.exists()
    assert [one.run_id for one in reader.children(sweep.id)] == [record.id]
    assert reader.text(record.id, "config.yaml") == b"seed: 3\n"
    assert reader.text(record.id, "other.yaml") is None
    assert curve(reader, record.id, "val/loss") == list(enumerate(values, start=1))
    assert reader.runs(sweep.id).equals(tracker.runs(sweep.id))


def test_the_later_value_of_a_step_counts(fresh_store: Path, tracker: Tracker, sweep: RunRecord):
    record = start(tracker, sweep.id)
    record.metrics({"val/loss": 0.5}, 1, time=1000)
    record.metrics({"val/loss": 0.7}, 1, time=3000)
    record.metrics({"val/loss": 0.6}, 1, time=2000)
    record.finish()
    assert Reader(None, fresh_store).run(record.id).metrics == {"val/loss": {1: 0.7}}


@pytest.mark.parametrize("at_once", [2, 100])
def test_histories_of_many_runs_are_those_of_each(
    fresh_store: Path, tracker: Tracker, sweep: RunRecord, monkeypatch, at_once: int
) -> None:
    monkeypatch.setattr(query, "_AT_ONCE", at_once)
    records = [start(tracker, sweep.id) for _ in range(5)]
    for number, record in enumerate(records[:4]):
        record.metrics({"val/loss": math.inf}, 3, time=1000)
        record.metrics({"val/loss": 0.5 + number}, 1, time=3000)
        record.metrics({"val/loss": -1.0, "train/loss": 9.0}, 1, time=2000)  # recorded before it
    for record in records:
        record.finish()
    ids = [record.id for record in records]
    for reader in (Reader(None, fresh_store), tracker):
        found = reader.histories(ids, "val/loss")
        assert set(found) == set(ids[:4])
        for number, run_id in enumerate(ids[:4]):
            assert list(found[run_id].items()) == [(1, 0.5 + number), (3, math.inf)]
            assert curve(reader, run_id, "val/loss") == list(found[run_id].items())
        assert reader.histories(ids, "other") == {}
        assert reader.histories([], "val/loss") == {}


def test_a_text_that_is_too_large_is_not_read(
    fresh_store: Path, tracker: Tracker, sweep: RunRecord, monkeypatch: pytest.MonkeyPatch
):
    kept = {"config.yaml": "a" * 200, "test_outputs.npz": "b" * 200}  # the other grows with rows
    record = start(tracker, sweep.id, artifacts=kept)
    record.finish()
    monkeypatch.setattr(artifacts, "TEXT_BYTES", 100)
    assert Reader(None, fresh_store).text(record.id, "test_outputs.npz") == b"b" * 200
    with pytest.raises(TrackingError, match=r"config\.yaml of the run .* has 200 bytes"):
        Reader(None, fresh_store).text(record.id, "config.yaml")


def test_what_is_not_there_is_told(fresh_store: Path, tracker: Tracker, sweep: RunRecord):
    record = start(tracker, sweep.id)
    record.finish()
    reader = Reader(None, fresh_store)
    for run_id in ("0" * 32, "", "../mlflow.db", "a'b\"c"):
        with pytest.raises(TrackingError, match="there is no run"):
            reader.run(run_id)
    tracker.client.delete_run(record.id)
    with pytest.raises(TrackingError, match=f"--run-id {record.id} restores it"):
        reader.run(record.id)
    assert reader.children(sweep.id) == []


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path):
    with pytest.raises(TrackingError, match=r"there is no store of runs at .*mlflow\.db"):
        Reader(None, tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_long_name_comes_back_whole(fresh_store: Path, tracker: Tracker) -> None:
    name = "regularizer=" + ",".join(f"technique{number}" for number in range(60))
    sweep = tracker.sweep("long", name, {})
    record = start(tracker, sweep.id, name=name)
    sweep.finish("FINISHED")
    assert len(tracker.client.get_run(sweep.id).info.run_name) == 250
    reader = Reader(None, fresh_store)
    assert reader.run(sweep.id).name == name
    assert list(reader.runs(sweep.id)["name"]) == [name]
    assert reader.run(record.id).name == name
