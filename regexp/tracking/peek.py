"""Look into the store without writing to it."""

from pathlib import Path

from regexp.tracking import query, store


def peek(uri: str | None, experiment: str, folder: Path, key: str) -> set[str]:
    """Fingerprints of the finished runs of a sweep; of none if there is no such store or sweep.

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
        return set()
    client = store.open_client(resolved, folder)
    with store.explained(resolved):
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return set()
        where = [found.experiment_id]
        parents = query.search(client, where, f"tags.`sweep.key` = {query.quoted(key)}")
        if not parents:
            return set()
        condition = (
            f"tags.`mlflow.parentRunId` = {query.quoted(parents[0].info.run_id)} "
            "and attributes.status = 'FINISHED'"
        )
        return {run.data.tags["fingerprint"] for run in query.search(client, where, condition)}
