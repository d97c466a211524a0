"""Look into the store without writing to it."""

from pathlib import Path

from regexp.tracking import query, store
from regexp.tracking.earlier import Earlier


def peek(uri: str | None, experiment: str, folder: Path, key: str) -> dict[str, Earlier]:
    """Fingerprint -> what became of a run of a sweep; nothing if there is no such store or sweep.

    Args:
        uri: `tracking.uri`; None is the SQLite file in `folder`.
        experiment: the name of the MLflow experiment.
        folder: `paths.mlruns`.
        key: of the sweep, as in `Tracker.sweep`.

    Raises:
        TrackingError: the store cannot be used.
    """
    resolved = store.resolve(uri, folder)
    database = store.sqlite_file(resolved)
    if database is not None and not database.exists():
        return {}
    client = store.open_client(resolved, folder)
    with store.explained(resolved):
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return {}
        where = [found.experiment_id]
        parents = query.search(client, where, f"tags.`sweep.key` = {query.quoted(key)}")
        if not parents:
            return {}
        condition = f"tags.`mlflow.parentRunId` = {query.quoted(parents[0].info.run_id)}"
        return Earlier.best(query.search(client, where, condition))
