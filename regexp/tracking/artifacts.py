"""The artifacts of runs: where they lie, and how they are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regexp.tracking import store
from regexp.tracking.database import artifact_uri
from regexp.tracking.error import TrackingError

TEXT_BYTES = 16 * 2**20
"""A text artifact of ours is smaller; what is larger is not read into memory."""


class Places:
    """Where the runs of a store have their artifacts, which is asked for once a run.

    Not by the client's own methods: they take what the process remembers of a run of this id in
    another store.

    Args:
        client: MLflow's, of the store.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[str, str] = {}

    def note(self, run: Any) -> None:
        """Remember where a run of MLflow's has its artifacts."""
        self._known[run.info.run_id] = run.info.artifact_uri

    def artifacts_of(self, run_id: str) -> Any:
        """MLflow's access to a run's artifacts."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
        from mlflow.utils.uri import add_databricks_profile_info_to_artifact_uri

        if run_id not in self._known:
            found = artifact_uri(self._client, run_id)
            self._known[run_id] = found or self._client.get_run(run_id).info.artifact_uri
        address = self._client.tracking_uri
        place = add_databricks_profile_info_to_artifact_uri(self._known[run_id], address)
        return get_artifact_repository(place, tracking_uri=address)

    @contextmanager
    def file(
        self, uri: str, run_id: str, name: str, limit: int | None = None
    ) -> Iterator[Path | None]:
        """An artifact as a file, for as long as the context lasts; None where there is none.

        Args:
            uri: of the store, for messages.
            limit: the most bytes that it may have.

        Raises:
            TrackingError: it is larger, or the store does not give it.
        """
        with TemporaryDirectory() as folder:
            with store.explained(uri):
                repository = self.artifacts_of(run_id)
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
                path = Path(folder).resolve() / name.rpartition("/")[2]
                # `download_artifacts` would ask once more whether it is a folder
                repository._download_file(name, str(path))
            yield path

    def text(self, uri: str, run_id: str, name: str) -> bytes | None:
        """The content of a text artifact; None where there is none. For the rest as `file`."""
        with self.file(uri, run_id, name, TEXT_BYTES) as path:
            return None if path is None else path.read_bytes()
