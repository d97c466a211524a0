"""Read runs out of the store, as they were recorded. Nothing is written to it.

Texts come with public addresses alone: what older versions recorded may have passwords.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from regexp.addresses import public, public_all
from regexp.tracking import experiments, names, pasted, query, store
from regexp.tracking.database import artifact_uri
from regexp.tracking.error import TrackingError
from regexp.tracking.places import sqlite_file
from regexp.tracking.query import Earlier

if TYPE_CHECKING:
    import pandas as pd

TEXT_BYTES = 16 * 2**20
"""A text artifact of ours is smaller; what is larger is not read into memory."""


@dataclass(frozen=True)
class StoredRun:
    """A run, or the parent run of a sweep, in the store.

    Attributes:
        sweep_id: of its parent run; empty for a parent.
        status: `FINISHED`, `FAILED`, `KILLED`, `SCHEDULED` or `RUNNING`.
        metrics: name -> step -> value, the later one where a step was recorded twice.
    """

    run_id: str
    sweep_id: str
    name: str
    status: str
    tags: dict[str, str]
    metrics: dict[str, dict[int, float]]


class Reader:
    """A store that runs are read from.

    Attributes:
        source: the store's address without credentials, for messages.

    Raises:
        TrackingError: there is no such store, or it cannot be used.
    """

    def __init__(self, uri: str | None, folder: Path | str) -> None:
        folder = Path(folder)
        self._given, self._folder = uri, folder
        self._uri = store.resolve(uri, folder)
        self.source = self._uri
        database = sqlite_file(self._uri)
        if database is not None and not database.is_file():
            raise TrackingError(
                f"there is no store of runs at {database}; give the one that holds the run by "
                "paths.mlruns=FOLDER or tracking.uri=ADDRESS"
            )
        self.client = store.open_client(self._uri, folder)

    def run(self, run_id: str) -> StoredRun:
        """A run by its id.

        Raises:
            TrackingError: there is none, or it was deleted.
        """
        from mlflow.exceptions import MlflowException

        with store.explained(self._uri):
            try:
                run = self.client.get_run(run_id)
            except MlflowException as error:
                # an id that is none at all is an invalid value
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                raise TrackingError(
                    f"there is no run {run_id} in {self.source}; the UI shows the ids of runs "
                    f"({self.command('ui')}), and paths.mlruns=FOLDER or tracking.uri=ADDRESS say "
                    "where to look"
                ) from error
        if run.info.lifecycle_stage != "active":
            raise TrackingError(
                f"the run {run_id} was deleted; mlflow runs restore --run-id {run_id} restores it"
            )
        return self._stored(run)

    def children(self, sweep_id: str) -> list[StoredRun]:
        """The runs of a sweep, oldest first."""
        return [self._stored(run) for run in self._children(sweep_id)]

    def runs(self, sweep_id: str) -> "pd.DataFrame":
        """One row a run of a sweep, oldest first; see `query.frame` for the columns."""
        return query.frame(self._children(sweep_id))

    def histories(self, run_ids: Sequence[str], name: str) -> dict[str, dict[int, float]]:
        """The values of a metric by step, for every run that has it; see `query.histories`."""
        with store.explained(self._uri):
            return query.histories(self.client, run_ids, names.safe(name))

    def experiment(self, run_id: str) -> str:
        """The name of the experiment that a run is in."""
        with store.explained(self._uri):
            run = self.client.get_run(run_id)
            return str(self.client.get_experiment(run.info.experiment_id).name)

    def files(self, run_id: str) -> list[str]:
        """Names of all artifacts of a run, those in its folders as well."""
        files: list[str] = []
        folders: list[str | None] = [None]
        with store.explained(self._uri):
            repository = artifacts_of(self.client, self._uri, run_id)
            while folders:
                for entry in repository.list_artifacts(folders.pop()):
                    (folders if entry.is_dir else files).append(entry.path)
        return sorted(files)

    def file(self, run_id: str, name: str) -> AbstractContextManager[Path | None]:
        """An artifact as a file, for as long as the context lasts; None where there is none."""
        return artifact(self.client, self._uri, run_id, name)

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""
        return text_artifact(self.client, self._uri, run_id, name)

    def command(self, *words: str) -> str:
        """A command on this store as it is given in a terminal; see `pasted.command`."""
        return pasted.command(*words, uri=self._given, folder=self._folder)

    def _children(self, sweep_id: str) -> list[Any]:
        with store.explained(self._uri):
            experiment = self.client.get_run(sweep_id).info.experiment_id
            return query.children(self.client, experiment, sweep_id)

    def _stored(self, run: Any) -> StoredRun:
        run_id = run.info.run_id
        with store.explained(self._uri):
            metrics = query.curves_of(self.client, run)
        return StoredRun(
            run_id=run_id,
            sweep_id=run.data.tags.get("mlflow.parentRunId", ""),
            name=public(run.data.tags.get(names.WHOLE_NAME) or run.info.run_name or run_id),
            status=run.info.status,
            tags=public_all(dict(run.data.tags)),
            metrics=metrics,
        )


@contextmanager
def artifact(
    client: Any, uri: str, run_id: str, name: str, limit: int | None = None
) -> Iterator[Path | None]:
    """An artifact as a file, downloaded for as long as the context lasts; None where there is none.

    Args:
        limit: the most bytes that it may have.

    Raises:
        TrackingError: it is larger, or the store does not give it.
    """
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder).resolve()
        with store.explained(uri):
            repository = artifacts_of(client, uri, run_id)
            listed = repository.list_artifacts(name.rpartition("/")[0] or None)
            files = [entry for entry in listed if entry.path == name and not entry.is_dir]
            if not files:
                yield None
                return
            if limit is not None and (files[0].file_size or 0) > limit:
                raise TrackingError(
                    f"the artifact {name} of the run {run_id} has {files[0].file_size} bytes; "
                    "expected a small text that regexp wrote"
                )
            path = Path(repository.download_artifacts(name, str(folder))).resolve()
        if not path.is_relative_to(folder) or not path.is_file():
            raise TrackingError(f"the artifact {name} of the run {run_id} is no file of its own")
        yield path


def artifacts_of(client: Any, uri: str, run_id: str) -> Any:
    """MLflow's access to a run's artifacts.

    Not by the client's own methods: each asks the store for the run again, or takes what the
    process remembers of a run of this id in another store. A comparison asks for every run.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    place = artifact_uri(client, run_id) or client.get_run(run_id).info.artifact_uri
    return get_artifact_repository(place, tracking_uri=uri)


def text_artifact(client: Any, uri: str, run_id: str, name: str) -> bytes | None:
    """The content of a text artifact; None where there is none. For the rest as `artifact`."""
    with artifact(client, uri, run_id, name, TEXT_BYTES) as path:
        return None if path is None else path.read_bytes()


def known_sweep(
    uri: str | None, experiment: str, folder: Path, key: str
) -> tuple[str, Callable[[Mapping[str, str]], list[Earlier]]]:
    """The id of a sweep, empty if there is none, and a search of its experiment by tags.

    Args:
        key: of the sweep, as in `Tracker.sweep`.

    Raises:
        TrackingError: the store cannot be used.
    """
    resolved = store.resolve(uri, folder)
    database = sqlite_file(resolved)
    if database is not None and not database.exists():
        return "", lambda tags: []
    # Who asks writes nothing, a dry run say, and needs no artifacts.
    client = store.open_client(resolved, folder, follow=False)
    with store.explained(resolved):
        known = experiments.find(client, experiment)
        if known is None:
            return "", lambda tags: []
        where = known.experiment_id
        parents = query.tagged(client, where, {"sweep.key": key})

    def tries(tags: Mapping[str, str]) -> list[Earlier]:
        with store.explained(resolved):
            found = query.tagged(client, where, tags, params=False)
            return [Earlier.of(run) for run in found]

    return parents[0].info.run_id if parents else "", tries
