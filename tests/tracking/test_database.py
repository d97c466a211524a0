"""Runs read from the tables of SQLite; the oracle is MLflow's own search."""

import math
from typing import Any

import pytest

from regexp.tracking import Earlier, RunRecord, Tracker, database, names, query
from tests.tracking.runs import start

INFO = (
    "run_id", "run_name", "experiment_id", "status", "start_time", "end_time", "artifact_uri",
    "lifecycle_stage",
)  # fmt: skip


def shown(run: Any) -> dict[str, Any]:
    """What a run says, in values that are equal where nothing differs."""
    metrics = {name: repr(value) for name, value in run.data.metrics.items()}
    data = {"metrics": metrics, "params": dict(run.data.params), "tags": dict(run.data.tags)}
    return {name: getattr(run.info, name) for name in INFO} | data


@pytest.fixture
def runs(tracker: Tracker, sweep: RunRecord) -> list[RunRecord]:
    """Runs of all kinds: ended, running, deleted, of another experiment."""
    records = [start(tracker, sweep.id, tags={"technique": one}) for one in ("l1", "l1", "it's")]
    for value in (0.1, math.nan, math.inf):
        for step, record in enumerate(records):
            record.metrics({"val/loss": value, f"test/{step}": 1 / 3}, step)
    records[0].finish("FAILED", "too bad")
    records[1].finish()
    tracker.client.set_tag(records[1].id, "mlflow.note.content", 'said "so", it\'s ü\n')
    gone = start(tracker, sweep.id, tags={"technique": "l1"})
    gone.finish()
    tracker.client.delete_run(gone.id)
    other = tracker.client.create_experiment("other")
    tracker.client.create_run(other, tags={"technique": "l1"})
    return records


@pytest.mark.parametrize("technique", ["l1", "it's", "L1", "l2", "%"])
def test_runs_are_those_that_mlflow_finds(
    tracker: Tracker, sweep: RunRecord, runs: list[RunRecord], technique: str
) -> None:
    tags = {"technique": technique, "mlflow.parentRunId": sweep.id}
    condition = " and ".join(f"tags.`{key}` = {query.quoted(v)}" for key, v in tags.items())
    expected = query.search(tracker.client, [tracker.experiment_id], condition)
    found = database.tagged(tracker.client, tracker.experiment_id, tags)
    assert found is not None
    assert [shown(run) for run in found] == [shown(run) for run in expected]
    assert len(found) == {"l1": 2, "it's": 1}.get(technique, 0)


def test_all_runs_are_found_where_no_tag_is_asked_for(
    tracker: Tracker, runs: list[RunRecord]
) -> None:
    expected = query.search(tracker.client, [tracker.experiment_id], "")
    found = database.tagged(tracker.client, tracker.experiment_id, {}) or []
    assert [shown(run) for run in found] == [shown(run) for run in expected]
    assert len(found) == 4  # the sweep's own among them


def test_other_stores_are_searched_by_mlflow() -> None:
    class Client:
        class _tracking_client:  # noqa: N801 - MLflow's name
            store = object()  # as that of a server, which has no database here

    assert database.tagged(Client(), "1", {}) is None


def test_without_parameters_nothing_else_is_missing(
    tracker: Tracker, runs: list[RunRecord]
) -> None:
    client, experiment = tracker.client, tracker.experiment_id
    whole = database.tagged(client, experiment, {})
    found = database.tagged(client, experiment, {}, params=False)
    assert whole
    assert any(run.data.params for run in whole)
    assert [shown(run) for run in found or []] == [{**shown(run), "params": {}} for run in whole]


def test_a_quarter_of_the_tags_tells_what_became_of_runs(
    tracker: Tracker, sweep: RunRecord, runs: list[RunRecord]
) -> None:
    client, experiment = tracker.client, tracker.experiment_id
    other = "0" * 32
    for tag in (names.member_of(other), names.labels_in(other)):
        client.set_tag(runs[0].id, tag, names.REUSED)
    tags = {"mlflow.parentRunId": sweep.id}
    whole, found = query.tagged(client, experiment, tags), query.tries(client, experiment, tags)
    assert [Earlier.of(run) for run in found] == [Earlier.of(run) for run in whole]
    assert Earlier.of(found[0]).reused_by == {other}
    assert all(2 * len(few.data.tags) < len(all_.data.tags)
               for few, all_ in zip(found, whole, strict=True))  # fmt: skip


def test_the_tags_of_a_run_are_mlflows(tracker: Tracker, runs: list[RunRecord]) -> None:
    for run in runs:
        found = database.tags_of(tracker.client, run.id)
        assert found == tracker.client.get_run(run.id).data.tags
        assert found
    assert database.tags_of(tracker.client, "0" * 32) is None


def test_the_place_of_artifacts_is_mlflows_own(tracker: Tracker, runs: list[RunRecord]) -> None:
    places = [database.artifact_uri(tracker.client, run.id) for run in runs]
    assert places == [tracker.client.get_run(run.id).info.artifact_uri for run in runs]
    assert database.artifact_uri(tracker.client, "0" * 32) is None
