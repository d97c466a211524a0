"""The tracker on a real SQLite store."""

import json
import logging
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import RunRecord, Terminated, Tracker, TrackingError, process, query
from regexp.tracking.delivery import dataset, sender
from tests.tracking.runs import curve, start, tries


def stored(tracker: Tracker, run_id: str) -> Any:
    return tracker.client.get_run(run_id)


def artifact(tracker: Tracker, run_id: str, name: str) -> str:
    return Path(tracker.client.download_artifacts(run_id, name)).read_text()


def test_run_holds_what_was_recorded(tracker: Tracker, sweep: RunRecord) -> None:
    record = start(tracker, sweep.id, tags={"technique": "l1", "seed": 3, "dataset": "digits"})
    record.finish()
    run = stored(tracker, record.id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.hidden": "[64, 64]"}
    assert run.data.tags["mlflow.parentRunId"] == run.data.tags["sweep"] == sweep.id
    expected = {
        "technique": "l1",
        "label": "l1",
        "row": "l1, digits",
        "seed": "3",
        "dataset": "digits",
    }
    assert expected.items() <= run.data.tags.items()
    assert {"host", "pid", "process", "fingerprint", "mlflow.user"} <= set(run.data.tags)
    data = run.inputs.dataset_inputs[0]
    assert (data.dataset.name, data.dataset.source) == ("digits", "scikit-learn")
    assert data.dataset.digest == ("ab" * 32)[:36]
    assert {tag.key: tag.value for tag in data.tags}["checksum"] == "ab" * 32
    assert artifact(tracker, record.id, "config.yaml") == "seeds: 1\n"
    assert "torch" in json.loads(artifact(tracker, record.id, "environment.json"))["packages"]


def test_metrics_come_back_in_order(tracker: Tracker, sweep: RunRecord) -> None:
    record = start(tracker, sweep.id)
    values = [float((7 * step) % 11) for step in range(1, 1502)]
    for step, value in enumerate(values, 1):
        record.metrics({"val/loss": value, "lr": 0.1}, step)
    assert curve(tracker, record.id, "val/loss") == list(enumerate(values, 1))
    assert curve(tracker, record.id, "absent") == []


def test_values_that_are_not_finite_come_back(tracker: Tracker, sweep: RunRecord) -> None:
    record = start(tracker, sweep.id)
    for step, value in enumerate([math.inf, -math.inf, math.nan, 1.0]):
        record.metrics({"val/loss": value}, step)
    record.summary({"test/loss": math.inf})
    history = curve(tracker, record.id, "val/loss")
    assert history[:2] == [(0, math.inf), (1, -math.inf)]
    assert math.isnan(history[2][1])
    assert tracker.runs(sweep.id)["metrics.test/loss"].tolist() == [math.inf]


def test_artifacts_of_files_and_folders(tracker: Tracker, sweep: RunRecord, tmp_path: Path) -> None:
    record = start(tracker, sweep.id)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "a.txt").write_text("a")
    record.artifact(tmp_path / "figures" / "a.txt", "single")
    record.artifact(tmp_path / "figures")
    (tmp_path / "figures" / "a.txt").write_text("changed afterwards")
    assert artifact(tracker, record.id, "single/a.txt") == "a"
    assert artifact(tracker, record.id, "figures/a.txt") == "a"
    assert (tracker.folder / "artifacts" / record.id).is_dir()
    with pytest.raises(FileNotFoundError, match="no artifact"):
        record.artifact(tmp_path / "absent")


def test_odd_params_do_not_stop_a_run(tracker: Tracker, sweep: RunRecord) -> None:
    params = {"a[0]": "x" * 7000, "user@host": float("nan")} | {f"p{i}": i for i in range(250)}
    record = start(tracker, sweep.id, params=params)
    record.finish()
    run = stored(tracker, record.id)
    assert len(run.data.params) == 252
    assert run.data.params["a_0_"].endswith("stands in the run's artifacts]")
    assert run.data.tags["params.cut"] == "a_0_"


def test_sweep_is_found_again_by_its_key(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        first = tracker.sweep("it's a key", "name", {"seeds": 3})
        first.finish("FAILED", "one job failed")
        assert stored(tracker, first.id).data.params == {"seeds": "3"}
        assert artifact(tracker, first.id, "sweep.yaml") == "seeds: 3\n"
    with Tracker(None, "regexp", fresh_store) as tracker:
        again = tracker.sweep("it's a key", "name", {"seeds": 3})
        assert again.id == first.id
        run = stored(tracker, again.id)
        assert run.info.status == "RUNNING"
        assert "reason" not in run.data.tags
        assert tracker.sweep("another", "name", {}).id != first.id
        again.finish()
        assert stored(tracker, again.id).info.status == "FINISHED"
    with Tracker(None, "regexp", fresh_store) as tracker:
        other = tracker.sweep("it's a key", "name", {"seeds": 3, "compare": {"matters": 0.3}})
        assert other.id == first.id
        other.finish()
        asked = "seeds: 3\ncompare:\n  matters: 0.3\n"
        assert artifact(tracker, other.id, "sweep.yaml") == asked, "the question of now"


def test_worker_that_joins_a_sweep_does_not_end_it(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as main:
        parent = main.sweep("key", "name", {})
        with Tracker(None, "regexp", fresh_store) as worker:
            worker.joined(parent.id, "name").tags({"seen": True})
        run = stored(main, parent.id)
        assert (run.info.status, run.data.tags["seen"]) == ("RUNNING", "true")
        parent.finish()


def test_who_takes_part_in_a_sweep_neither_begins_nor_ends_it(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as main:
        parent = main.sweep("key", "name", {})
        parent.finish()
        with Tracker(None, "regexp", fresh_store) as other:
            assert other.sweep("key", "name", {}, owned=False).id == parent.id
            assert other.tags(parent.id)["sweep.key"] == "key"
            other.close("KILLED", "interrupted")
        run = stored(main, parent.id)
        assert (run.info.status, run.data.tags.get("reason")) == ("FINISHED", None)


def test_finished_knows_only_finished_runs_of_the_sweep(tracker: Tracker, sweep: RunRecord) -> None:
    done = start(tracker, sweep.id, fingerprint="done")
    done.finish()
    start(tracker, sweep.id, fingerprint="failed").finish("FAILED", "loss is nan")
    start(tracker, sweep.id, fingerprint="running")
    other = tracker.sweep("other", "other", {})
    start(tracker, other.id, fingerprint="elsewhere").finish()
    ended = {name: one.id for name, one in tries(tracker, sweep.id).items() if one.ended}
    assert ended == {"done": done.id}


def test_a_sweep_of_which_all_has_ended_is_read_once(
    tracker: Tracker, sweep: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tracker, sweep.id, fingerprint="one").finish()
    table, link = tracker.runs(sweep.id), tracker.link(sweep.id)
    state = tracker.state(sweep.id)
    asked, children = [], query.children

    def counted(*args: Any, **options: Any) -> list[Any]:
        asked.append(args)
        return children(*args, **options)

    monkeypatch.setattr(query, "children", counted)
    with tracker.reading_once(sweep.id):
        assert tracker.run_count(sweep.id) == 1
        assert tracker.runs(sweep.id).equals(table)
        assert tracker.link(sweep.id) == link
        assert len(asked) == 1
        assert tracker.run_count("another") == 0
    asked.clear()
    with tracker.reading_once(sweep.id, params=False):
        assert tracker.run_count(sweep.id) == 1
        assert tracker.state(sweep.id) == state
        assert len(asked) == 1
        assert all(tracker.runs(sweep.id).equals(table) for _ in range(2))
        assert len(asked) == 2  # with parameters, once they are asked for
    start(tracker, sweep.id, fingerprint="two").finish()
    assert tracker.run_count(sweep.id) == 2


def test_runs_is_a_table_of_children(tracker: Tracker, sweep: RunRecord) -> None:
    assert tracker.runs(sweep.id).empty
    for seed, variant in enumerate(["", "strength=0.1"]):
        tags = {"technique": "l1", "seed": seed, "dataset": "digits", "variant": variant}
        record = start(tracker, sweep.id, tags=tags)
        record.summary({"test/accuracy": 0.5 + seed})
        record.finish("FINISHED" if seed else "FAILED", "" if seed else "loss is nan")
    runs = tracker.runs(sweep.id)
    assert runs["seed"].tolist() == [0, 1]
    assert runs["status"].tolist() == ["FAILED", "FINISHED"]
    assert runs["reason"].tolist() == ["loss is nan", ""]
    assert runs["label"].tolist() == ["l1", "l1 (strength=0.1)"]
    assert runs["metrics.test/accuracy"].tolist() == [0.5, 1.5]
    assert runs["params.model.hidden"].tolist() == ["[64, 64]"] * 2


@pytest.mark.parametrize("seed", ["three", "1.0", "", "²", "1" * 5000])
def test_a_seed_that_is_none_breaks_no_table(tracker: Tracker, sweep: RunRecord, seed: str) -> None:
    """Anybody may make a run below a sweep."""
    start(tracker, sweep.id, tags={"technique": "l1", "seed": seed}).finish()
    assert tracker.runs(sweep.id)["seed"].tolist() == [-1]


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (KeyboardInterrupt(), "KILLED", "Ctrl-C"),
        (Terminated(15), "KILLED", "ended by SIGTERM"),
        (ValueError("bad weight"), "FAILED", "ValueError: bad weight"),
    ],
)
def test_exception_leaves_nothing_running(
    fresh_store: Path, error: BaseException, status: str, reason: str
) -> None:
    with pytest.raises(type(error)), Tracker(None, "regexp", fresh_store) as tracker:  # noqa: PT012
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        record.metrics({"val/loss": 1.0}, 1)
        raise error
    for run_id in (record.id, sweep.id):
        assert stored(tracker, run_id).info.status == status
        assert reason in stored(tracker, run_id).data.tags["reason"]
    assert stored(tracker, record.id).data.metrics == {"val/loss": 1.0}


def test_run_that_was_forgotten_is_failed(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        sweep.finish()
    assert stored(tracker, record.id).info.status == "FAILED"
    assert stored(tracker, record.id).data.tags["reason"] == "its run was not finished"
    assert stored(tracker, sweep.id).info.status == "FINISHED"


def test_a_run_ends_once(tracker: Tracker, sweep: RunRecord) -> None:
    record = start(tracker, sweep.id)
    record.finish("FAILED", "first")
    record.finish("FINISHED")
    assert stored(tracker, record.id).info.status == "FAILED"


def test_two_trackers_at_once(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as one, Tracker(None, "regexp", fresh_store) as two:
        sweep = one.sweep("key", "name", {})
        records = [start(one, sweep.id), start(two, sweep.id)]
        for step in range(50):
            for record in records:
                record.metrics({"val/loss": float(step)}, step)
        for record in records:
            record.finish()
        sweep.finish()
        for tracker, record in zip((two, one), records, strict=True):
            assert len(curve(tracker, record.id, "val/loss")) == 50


def test_store_that_fails_in_the_middle_loses_nothing(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        record = start(tracker, sweep.id)
        record.metrics({"val/loss": 1.0}, 1)
        curve(tracker, record.id, "val/loss")

        def gone(*arguments: object, **named: object) -> None:
            raise ConnectionError("connection refused")

        for name in ("log_batch", "set_terminated", "log_artifact"):
            monkeypatch.setattr(tracker.client, name, gone)
        record.metrics({"val/loss": 2.0}, 2)
        record.finish("FINISHED")
        sweep.finish()
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert told[-1].startswith("The records of 2 runs could not be delivered to sqlite:///")
    assert told[-1].endswith(f"\n  regexp deliver paths.mlruns={fresh_store}")
    assert stored(tracker, record.id).info.status == "RUNNING"

    with Tracker(None, "regexp", fresh_store) as later:
        assert stored(later, record.id).info.status == "FINISHED"
        assert stored(later, sweep.id).info.status == "FINISHED"
        assert curve(later, record.id, "val/loss") == [(1, 1.0), (2, 2.0)]
    assert not list((fresh_store / "undelivered").glob("*.jsonl"))


def test_wall_time_adds_up_over_commands_and_needs_no_store_to_be_told(
    fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        assert sweep.wall_seconds(4.0) == 4.0
        assert sweep.wall_seconds(5.5) == 5.5  # later in the same command

        def gone(*arguments: object, **named: object) -> None:
            raise ConnectionError("connection refused")

        curve(tracker, sweep.id, "none")
        for name in ("log_batch", "get_run", "set_terminated"):
            monkeypatch.setattr(tracker.client, name, gone)
        assert sweep.wall_seconds(7.0) == 7.0
        sweep.finish()
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "name", {})
        assert sweep.wall_seconds(0.5) == 7.5
        sweep.finish()
    assert stored(tracker, sweep.id).data.tags["wall_seconds"] == "7.5"


def test_a_text_is_read_back_by_whoever_recorded_it(tracker: Tracker, sweep: RunRecord) -> None:
    record = start(tracker, sweep.id)
    record.text('{"a": "ü"}', "diagnostics.json")
    assert tracker.text(record.id, "diagnostics.json") == '{"a": "ü"}'.encode()  # though queued
    assert tracker.text(record.id, "config.yaml") == b"seeds: 1\n"
    assert tracker.text(record.id, "other.json") is None


def test_deleted_run_is_told_and_stops_nothing(
    tracker: Tracker, sweep: RunRecord, caplog: pytest.LogCaptureFixture
) -> None:
    record, other = start(tracker, sweep.id), start(tracker, sweep.id)
    tracker.runs(sweep.id)
    tracker.client.delete_run(record.id)
    record.metrics({"val/loss": 1.0}, 1)
    record.finish()
    other.finish()
    sweep.finish()
    tracker.close()
    assert "refused records of run " + record.id in caplog.text
    assert stored(tracker, other.id).info.status == "FINISHED"


def test_note_is_the_description(tracker: Tracker, sweep: RunRecord) -> None:
    sweep.note("| a |\n|---|\n" + "x" * 9000)
    sweep.finish()
    note = stored(tracker, sweep.id).data.tags["mlflow.note.content"]
    assert note.startswith("| a |")
    assert "[cut: " in note


def test_deleted_experiment_is_a_clear_error(fresh_store: Path) -> None:
    with Tracker(None, "regexp", fresh_store) as tracker:
        tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(TrackingError, match=r"tracking.experiment=regexp was deleted. Restore it"):
        Tracker(None, "regexp", fresh_store)


def test_own_connections_write_ahead_and_do_not_wait_for_the_disk(
    tracker: Tracker, fresh_store: Path
) -> None:
    with tracker.client._tracking_client.store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    plain = sqlite3.connect(fresh_store / "mlflow.db")
    assert plain.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    plain.close()


@pytest.mark.parametrize(
    "said",
    [
        "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id",
        "(psycopg.errors.UniqueViolation) duplicate key value: INSERT INTO datasets",
        "(pymysql.err.IntegrityError) (1062, \"Duplicate entry 'a' for key 'datasets.PRIMARY'\")",
    ],
)
def test_data_that_another_process_adds_meanwhile_are_recorded(
    said: str, tracker: Tracker, sweep: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException

    real, tries = tracker.client.log_inputs, []

    def log_inputs(*arguments: Any) -> None:
        tries.append(arguments)
        if len(tries) == 1:
            raise MlflowException(said)
        real(*arguments)

    monkeypatch.setattr(tracker.client, "log_inputs", log_inputs)
    described = {"name": "digits", "checksum": "ab" * 32, "source": "scikit-learn"}
    deliver = sender(tracker.client)
    deliver(sweep.id, [dataset(described)])
    run = tracker.client.get_run(sweep.id)
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["digits"]
    assert len(tries) == 2


def test_mlflow_says_nothing_as_long_as_a_tracker_is_open(tmp_path: Path) -> None:
    Tracker(None, "quiet", tmp_path).close()  # importing MLflow sets its level
    logger = logging.getLogger("mlflow")
    before = logger.level
    with Tracker(None, "quiet", tmp_path):
        assert not logger.isEnabledFor(logging.CRITICAL)
    assert logger.level == before


def test_a_run_that_goes_on_keeps_its_params_however_they_are_spelled_now(
    tracker: Tracker, sweep: RunRecord
) -> None:
    """Of one fingerprint are `dataset.path=c.csv` and the same file by its whole path."""
    first = start(tracker, sweep.id, params={"dataset": {"path": "c.csv"}})
    first.finish("KILLED")
    path = {"dataset": {"path": "/data/c.csv"}, "more": 1}
    again = start(tracker, sweep.id, params=path, resume=first.id)
    again.finish()
    tracker.close()
    assert tracker.left.nothing
    run = stored(tracker, first.id)
    assert (run.info.status, run.data.params) == (
        "FINISHED",
        {"dataset.path": "c.csv", "more": "1"},
    )


def test_a_run_that_was_taken_up_meanwhile_is_not_ended_as_lost(
    tracker: Tracker, sweep: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = process.tags() | {
        "process": json.dumps(json.loads(process.tags()["process"]) | {"start": "x"})
    }
    for key, value in dead.items():
        tracker.client.set_tag(sweep.id, key, value)
    search = query.search

    def slowly(*given: Any, **named: Any) -> Any:
        found = list(search(*given, **named))
        for key, value in process.tags().items():
            tracker.client.set_tag(sweep.id, key, value)
        return found

    monkeypatch.setattr(query, "search", slowly)
    assert query.reap(tracker.client) == []
    assert stored(tracker, sweep.id).info.status == "RUNNING"


def test_dead_runs_that_this_user_may_not_write_stop_nobody(
    tracker: Tracker, sweep: RunRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, PERMISSION_DENIED

    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("not yours", error_code=code)

    earlier = json.loads(process.tags()["process"]) | {"start": "earlier"}
    tracker.client.set_tag(sweep.id, "process", json.dumps(earlier))
    with monkeypatch.context() as patched:
        patched.setattr(tracker.client, "log_batch", refuse)
        code = PERMISSION_DENIED
        assert query.reap(tracker.client) == []
        code = INTERNAL_ERROR
        with pytest.raises(MlflowException, match="not yours"):
            query.reap(tracker.client)
    assert query.reap(tracker.client) == [sweep.id]


def test_two_commands_end_the_runs_of_a_dead_process_at_once(
    tracker: Tracker, sweep: RunRecord, fresh_store: Path
) -> None:
    """Between MLflow's look for a tag and its writing the other command has written it."""
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    earlier = json.loads(process.tags()["process"]) | {"start": "earlier"}
    tracker.client.set_tag(sweep.id, "process", json.dumps(earlier))
    other = sqlite3.connect(fresh_store / "mlflow.db", isolation_level=None)

    def write(*_: Any) -> None:
        values = ("reason", "its process was stopped", sweep.id)
        other.execute("insert or ignore into tags (key, value, run_uuid) values (?, ?, ?)", values)

    event.listen(Session, "before_flush", write)
    try:
        assert query.reap(tracker.client) == [sweep.id]
    finally:
        event.remove(Session, "before_flush", write)
        other.close()
    run = tracker.client.get_run(sweep.id)
    assert run.info.status == "FAILED"
    assert run.data.tags["reason"]
