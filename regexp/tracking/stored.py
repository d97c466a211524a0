"""Read runs out of the store, as they were recorded. Nothing is written to it.

Texts come with public addresses alone: what older versions recorded may have passwords.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regexp.addresses import is_server, public, public_all
from regexp.tracking import experiments, lifecycle, names, pasted, query, store
from regexp.tracking.artifacts import Places
from regexp.tracking.error import NoRunError, TrackingError
from regexp.tracking.places import sqlite_file
from regexp.tracking.query import Earlier
from regexp.tracking.read_only import open_reader

if TYPE_CHECKING:
    import pandas as pd


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
        self.client = open_reader(self._uri, folder)
        self._places = Places(self.client)

    @property
    def server(self) -> str:
        """The address of the store without its password, if it is a server; else empty."""
        return public(self._uri) if is_server(self._uri) else ""

    def run(self, run_id: str) -> StoredRun:
        """A run by its id.

        Raises:
            NoRunError: there is none, or it was deleted.
            TrackingError: the store cannot be used.
        """
        from mlflow.exceptions import MlflowException

        with store.explained(self._uri):
            try:
                run = self.client.get_run(run_id)
            except MlflowException as error:
                # an id that is none at all is an invalid value
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                raise NoRunError(
                    f"there is no run {run_id} in {self.source}; the UI shows the ids of runs "
                    f"({self.command('ui')}), and paths.mlruns=FOLDER or tracking.uri=ADDRESS say "
                    "where to look"
                ) from error
        if run.info.lifecycle_stage != "active":
            raise NoRunError(
                f"the run {run_id} was deleted; mlflow runs restore --run-id {run_id} restores it"
            )
        self._places.note(run)
        return self._stored(run)

    def has(self, run_id: str) -> bool:
        """Whether there is such a run, or sweep."""
        try:
            self.run(run_id)
        except NoRunError:
            return False
        return True

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
            repository = self._places.artifacts_of(run_id)
            while folders:
                for entry in repository.list_artifacts(folders.pop()):
                    (folders if entry.is_dir else files).append(entry.path)
        return sorted(files)

    def file(self, run_id: str, name: str) -> AbstractContextManager[Path | None]:
        """An artifact as a file, for as long as the context lasts; None where there is none."""
        return self._places.file(self._uri, run_id, name)

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""
        return self._places.text(self._uri, run_id, name)

    def command(self, *words: str) -> str:
        """A command on this store as it is given in a terminal; see `pasted.command`."""
        return pasted.command(*words, uri=self._given, folder=self._folder)

    def _children(self, sweep_id: str) -> list[Any]:
        with store.explained(self._uri):
            experiment = self.client.get_run(sweep_id).info.experiment_id
            runs = query.children(self.client, experiment, sweep_id)
        for run in runs:
            self._places.note(run)
        return runs

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


def known_sweep(
    uri: str | None, experiment: str, folder: Path, key: str, *, afresh: bool = False
) -> tuple[str, Callable[[Mapping[str, str]], list[Earlier]]]:
    """The id of a sweep, empty if there is none, and a search of its experiment by tags.

    Args:
        key, afresh: of the sweep, as in `Tracker.sweep`.

    Raises:
        TrackingError: the store cannot be used.
    """
    resolved = store.resolve(uri, folder)
    database = sqlite_file(resolved)
    if database is not None and not database.exists():
        return "", lambda tags: []
    # Who asks writes nothing, a dry run say, and needs no artifacts.
    client = open_reader(resolved, folder, follow=False)
    with store.explained(resolved):
        known = experiments.find(client, experiment)
        if known is None:
            return "", lambda tags: []
        where = known.experiment_id
        parent = lifecycle.find_sweep(client, where, key, afresh=afresh)

    def tries(tags: Mapping[str, str]) -> list[Earlier]:
        with store.explained(resolved):
            return [Earlier.of(run) for run in query.tries(client, where, tags)]

    return parent.info.run_id if parent else "", tries
