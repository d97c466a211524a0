"""The artifacts of runs: where they lie, and how they are read."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from regexp.metrics.names import TEST_OUTPUTS
from regexp.tracking import shared, store
from regexp.tracking.database import artifact_uri
from regexp.tracking.error import TrackingError, may_pass

TEXT_BYTES = 16 * 2**20
"""A text artifact of ours is smaller; what is larger is not read into memory."""

_KEPT = 8
"""Shared artifacts in memory: runs are read stack by stack, or in turn with those of a baseline."""


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
        self._shared: dict[str, tuple[str, str]] = {}  # run -> its stack's first, its position
        self._read: dict[tuple[str, str], bytes] = {}  # (run, shared artifact): the last few

    def note(self, run: Any) -> None:
        """Remember where a run of MLflow's has its artifacts."""
        self._known[run.info.run_id] = run.info.artifact_uri
        self._shared[run.info.run_id] = shared.first_of(run)

    def note_own(self, run_id: str) -> None:
        """Remember that a run shares nothing with its stack any more."""
        self._shared[run_id] = "", ""

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
        part = self._of_stack(uri, run_id, name)
        if part is None:
            with self._own_file(uri, run_id, name, limit) as own:
                yield own
            return
        with TemporaryDirectory() as folder:
            path = Path(folder).resolve() / name.rpartition("/")[2]
            path.write_bytes(part)
            yield path

    @contextmanager
    def _own_file(
        self, uri: str, run_id: str, name: str, limit: int | None
    ) -> Iterator[Path | None]:
        """As `file`, of what the run has for itself."""
        with TemporaryDirectory() as folder:
            path = Path(folder).resolve() / name.rpartition("/")[2]
            with store.explained(uri):
                found = self._bring(run_id, name, path)
            if found and limit is not None and (size := path.stat().st_size) > limit:
                raise TrackingError(
                    f"the artifact {name} of the run {run_id} has {size} bytes; expected a small "
                    "text that regexp wrote"
                )
            yield path if found else None

    def _bring(self, run_id: str, name: str, path: Path) -> bool:
        """Download an artifact to a path; False where there is none.

        In one request: `download_artifacts` would first ask whether it is a folder.
        """
        from mlflow.exceptions import MlflowException

        repository = self.artifacts_of(run_id)
        try:
            repository._download_file(name, str(path))
        except Exception as error:  # what it is where there is none differs from store to store
            if isinstance(error, MlflowException) and may_pass(error):
                raise
            listed = repository.list_artifacts(name.rpartition("/")[0] or None)
            if any(entry.path == name and not entry.is_dir for entry in listed):
                raise
            return False
        return True

    def text(self, uri: str, run_id: str, name: str) -> bytes | None:
        """The content of a text artifact, or of test outputs; None where there is none.

        For the rest as `file`.
        """
        if (part := self._of_stack(uri, run_id, name)) is not None:
            return part
        limit = None if name == TEST_OUTPUTS else TEXT_BYTES  # which grow with the rows
        with self._own_file(uri, run_id, name, limit) as path:
            return None if path is None else path.read_bytes()

    def make_own(self, uri: str, run_id: str, going: Container[str]) -> bool:
        """Give a run what it shares as files of its own, if the run that has them goes.

        Returns:
            Whether that is so, and the run's tags are to say it.
        """
        if self._stack_of(uri, run_id)[0] not in going:
            return False
        with store.explained(uri), TemporaryDirectory() as folder:
            for name in shared.NAMES:
                if (content := self._of_stack(uri, run_id, name)) is not None:
                    path = Path(folder) / name
                    path.write_bytes(content)
            self.artifacts_of(run_id).log_artifacts(folder)
        return True

    def _stack_of(self, uri: str, run_id: str) -> tuple[str, str]:
        """See `shared.first_of`."""
        if run_id not in self._shared:
            with store.explained(uri):
                self.note(self._client.get_run(run_id))
        return self._shared[run_id]

    def _of_stack(self, uri: str, run_id: str, name: str) -> bytes | None:
        """An artifact that a run shares with its stack; None where it has it for itself."""
        if not (place := shared.where(name)):
            return None
        first, position = self._stack_of(uri, run_id)
        if not first:
            return None
        if (first, place) not in self._read:
            with self._own_file(uri, first, place, TEXT_BYTES) as path:
                if path is None:
                    return None
                self._read[first, place] = path.read_bytes()
            while len(self._read) > _KEPT:
                del self._read[next(iter(self._read))]
        return shared.part_of(self._read[first, place], name, run_id, position)
