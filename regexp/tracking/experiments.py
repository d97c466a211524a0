"""The experiment that runs are recorded in, by its name."""

from pathlib import Path
from typing import Any

from regexp.addresses import is_server
from regexp.tracking import names
from regexp.tracking.error import TrackingError
from regexp.tracking.places import artifact_folder, sqlite_file

_BELOW_ROOT = len(f"/{'0' * 32}/artifacts")  # of a run's artifacts, below those of its experiment


def find(client: Any, name: str) -> Any:
    """MLflow's experiment of this name, active or deleted; None where there is none.

    One whose name is too long for some stores has a shorter one; older versions did not cut it.
    """
    short, _ = names.of_experiment(name)
    return client.get_experiment_by_name(short) or (
        client.get_experiment_by_name(name) if name != short else None
    )


def find_or_make(client: Any, name: str, uri: str, folder: Path) -> str:
    """Id of the experiment with this name, made when absent.

    Args:
        client: MLflow's.
        name: `tracking.experiment`; one that is too long for MLflow's tables is cut, and the whole
            stands in a tag.
        uri: absolute, from `store.resolve`.
        folder: `paths.mlruns`.

    Raises:
        TrackingError: it was deleted in the UI, so that its name is taken, or the folder's name is
            too long for the database.
    """
    from mlflow.exceptions import MlflowException

    known = find(client, name)
    if known is None:
        short, tags = names.of_experiment(name)
        try:
            # A server says itself where artifacts go.
            place = None if is_server(uri) else _place(uri, folder)
            return str(client.create_experiment(short, artifact_location=place, tags=tags))
        except MlflowException:  # another process was faster
            known = find(client, name)
            if known is None:
                raise
    if known.lifecycle_stage != "active":
        raise TrackingError(
            f"tracking.experiment={name} was deleted. Restore it (mlflow experiments restore "
            f"--experiment-id {known.experiment_id}) or choose another name."
        )
    return str(known.experiment_id)


def _place(uri: str, folder: Path) -> str:
    """Where the artifacts of a database's runs go.

    Raises:
        TrackingError: the database does not take so long an address.
    """
    place = artifact_folder(folder)
    room = names.PLACE_LENGTH - _BELOW_ROOT
    if sqlite_file(uri) is None and len(place) > room:
        raise TrackingError(
            f"paths.mlruns={folder}: the address of its artifacts, {place}, has {len(place)} "
            f"characters, and MLflow's tables on {uri} take {room}; choose a shorter path"
        )
    return place
