"""Experiments by their names, also those that are longer than MLflow's tables are."""

from pathlib import Path

import pytest

from regexp.tracking import Tracker, TrackingError, names, store
from regexp.tracking.experiments import find, find_or_make
from regexp.tracking.stored import Reader, known_sweep
from tests.tracking.runs import start

LONG = [257, 300, 500, 501, 6000]


@pytest.mark.parametrize("length", LONG)
def test_a_long_name_is_cut_and_found_again(fresh_store: Path, length: int) -> None:
    """By MLflow's own limit for PostgreSQL; SQLite holds any length."""
    from mlflow.store.tracking.dbmodels.models import SqlExperiment

    room = SqlExperiment.__table__.c.name.type.length
    name, other = "é" * length, "é" * (length - 1) + "e"
    with Tracker(None, name, fresh_store) as tracker:
        number = tracker.experiment_id
        kept = tracker.client.get_experiment(number)
        sweep = tracker.sweep("key", "sweep", {})
        start(tracker, sweep.id, fingerprint="f").finish()
        sweep.finish()
    assert len(kept.name) == room == names.EXPERIMENT_LENGTH
    assert kept.tags[names.WHOLE_NAME][:4000] == name[:4000]
    with Tracker(None, name, fresh_store) as tracker:
        assert tracker.experiment_id == number
    with Tracker(None, other, fresh_store) as tracker:
        assert tracker.experiment_id != number, "they differ at their end alone"
    assert known_sweep(None, name, fresh_store, "key")[0] == sweep.id
    reader = Reader(None, fresh_store)
    with Tracker(None, reader.experiment(sweep.id), fresh_store) as tracker:
        assert tracker.experiment_id == number, "what adds to a sweep knows only that name"


def test_a_name_of_the_full_length_is_as_it_is(fresh_store: Path) -> None:
    name = "e" * names.EXPERIMENT_LENGTH
    with Tracker(None, name, fresh_store) as tracker:
        kept = tracker.client.get_experiment(tracker.experiment_id)
    assert (kept.name, kept.tags) == (name, {})


def test_an_experiment_that_an_older_version_made_is_found(fresh_store: Path) -> None:
    name = "e" * 400
    client = Reader(None, fresh_store).client
    number = client.create_experiment(name)
    with Tracker(None, name, fresh_store) as tracker:
        assert tracker.experiment_id == number
    assert find(client, "another") is None


def test_a_deleted_experiment_is_told_of(fresh_store: Path) -> None:
    client = Reader(None, fresh_store).client
    number = client.create_experiment("mine")
    client.delete_experiment(number)
    uri = store.resolve(None, fresh_store)
    with pytest.raises(TrackingError, match=f"was deleted.*--experiment-id {number}"):
        find_or_make(client, "mine", uri, fresh_store)


def test_a_folder_too_long_for_a_database_is_refused_before_anything_is_written(
    fresh_store: Path,
) -> None:
    """A run's place has 200 characters in MLflow's tables."""
    from mlflow.store.tracking.dbmodels.models import SqlRun

    client = Reader(None, fresh_store).client
    room = SqlRun.__table__.c.artifact_uri.type.length
    whole = len(f"file:///artifacts/{'0' * 32}/artifacts")
    folder = Path("/" + "x" * (room - whole))
    uri = "postgresql://127.0.0.1/runs"
    with pytest.raises(TrackingError, match="choose a shorter path"):
        find_or_make(client, "mine", uri, Path(f"{folder}x"))
    assert find(client, "mine") is None
    number = find_or_make(client, "mine", uri, Path(str(folder)[:-1]))
    run = client.create_run(number)
    assert len(run.info.artifact_uri) == room
