"""The kinds of records, and how each is handed to MLflow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from regexp.tracking import artifacts, names, process, query
from regexp.tracking.batches import TOGETHER
from regexp.tracking.error import is_too_large
from regexp.tracking.outbox import OthersError, RefusedError, Send
from regexp.tracking.quiet import quiet
from regexp.tracking.spool import Record
from regexp.tracking.untrusted import inside

# Answers that trying again will not change. A refused login is not among them: it can be mended.
_FINAL = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "INVALID_STATE"}
_DIGEST_LENGTH = 36

ANYBODY = {"owner": ""}
"""Of a record that is delivered whoever has the run."""


def metric(name: str, value: float, step: int, time: int) -> Record:
    """A value at a step; `time` in milliseconds since 1970."""
    return {"kind": "metric", "name": name, "value": value, "step": step, "time": time}


def param(name: str, value: str) -> Record:
    """A hyper-parameter, already in the form that `names.params` gives."""
    return {"kind": "param", "name": name, "value": value}


def tag(name: str, value: str) -> Record:
    """A tag; a longer value than MLflow takes is cut with a mark."""
    return {"kind": "tag", "name": names.safe(name), "value": names.cut(value, names.TAG_LENGTH)}


def text(content: str, name: str) -> Record:
    """A small text that becomes the artifact `name`.

    Raises:
        ValueError: the name leads out of the run.
    """
    if not name or not inside(name):
        raise ValueError(f"{name!r}: expected the name of an artifact, such as folder/name.txt")
    return {"kind": "text", "content": content, "name": name}


def file(path: Path, folder: str) -> Record:
    """A file or folder that becomes an artifact in `folder`.

    Raises:
        ValueError: the folder leads out of the run.
    """
    if not inside(folder):
        raise ValueError(f"{folder!r}: expected a folder of artifacts, such as figures/losses")
    return {"kind": "file", "path": str(path.resolve()), "folder": folder}


def removal(folder: str) -> Record:
    """A folder of artifacts that goes: that of working checkpoints, and no other."""
    return {"kind": "removal", "folder": folder}


def dataset(described: Mapping[str, str]) -> Record:
    """The data a run was trained on: `name`, `checksum`, `source`."""
    return {"kind": "dataset"} | {key: str(value) for key, value in described.items()}


def status(status: str, time: int) -> Record:
    """How a run of this process ended; `time` in milliseconds since 1970."""
    owner = process.identity(process.tags())
    return {"kind": "status", "status": status, "time": time, "owner": owner}


def _unsure(run_id: str) -> bool:
    """The store is asked."""
    return False


def _anyone(run_id: str) -> bool:
    """Nobody takes a run over."""
    return True


@dataclass(frozen=True)
class _Destination:
    """A store, and where its runs have their artifacts."""

    client: Any
    places: artifacts.Places


def sender(
    client: Any,
    places: artifacts.Places | None = None,
    sure: Callable[[str], bool] = _unsure,
    is_ours: Callable[[str], bool] = _anyone,
) -> Send:
    """Make the function that delivers one batch of records through `client`.

    Args:
        client: MLflow's, of the store.
        places: where runs have their artifacts, as far as it is known.
        sure: whether a run is known to be this process's still, so that nobody has to be asked.
        is_ours: whether a run was not taken over by another process; nothing is written of one that
            was.
    """
    to = _Destination(client, places or artifacts.Places(client))

    def send(run_id: str, records: Sequence[Record]) -> None:
        from mlflow.exceptions import MlflowException

        with quiet:
            try:
                owner = records[0].get("owner")
                if not (is_ours(run_id) and _may_write(client, sure, run_id, owner)):
                    raise OthersError(run_id)
                _send(to, run_id, records)
                if records[0].get("status") == "FINISHED" and not sure(run_id):
                    _forget_reason(client, run_id)
            except Exception as error:
                code = error.error_code if isinstance(error, MlflowException) else None
                if code in _FINAL or is_too_large(error):
                    raise RefusedError(str(error)) from error
                raise

    return send


def _send(to: _Destination, run_id: str, records: Sequence[Record]) -> None:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    client, first = to.client, records[0]
    match first["kind"]:
        case "metric" | "param" | "tag":
            of = {kind: [r for r in records if r["kind"] == kind] for kind in TOGETHER}
            client.log_batch(
                run_id,
                [Metric(r["name"], r["value"], r["time"], r["step"]) for r in of["metric"]],
                [Param(r["name"], r["value"]) for r in of["param"]],
                [RunTag(r["name"], r["value"]) for r in of["tag"]],
            )
        case "text":
            name = PurePosixPath(first["name"])
            with TemporaryDirectory() as own:
                path = Path(own) / name.name
                path.write_bytes(first["content"].encode())
                _put(to.places, run_id, path, "/".join(name.parts[:-1]))
        case "file":
            _put(to.places, run_id, Path(first["path"]), first["folder"])
        case "removal":
            repository = to.places.artifacts_of(run_id)
            if repository.list_artifacts(first["folder"]):  # it may be sent twice
                repository.delete_artifacts(first["folder"])
        case "dataset":
            data = [_dataset_input(first)]
            try:
                client.log_inputs(run_id, data)
            except MlflowException as error:
                # MLflow looks for the data and then adds them; another process was in between
                said = str(error).lower()
                if "datasets" not in said or not ("unique" in said or "duplicate" in said):
                    raise
                client.log_inputs(run_id, data)
        case "status":
            client.set_terminated(run_id, first["status"], first["time"])
        case kind:  # pragma: no cover - the functions above are the only makers
            raise AssertionError(kind)


def _put(places: artifacts.Places, run_id: str, path: Path, folder: str) -> None:
    """Make a file, or a folder with all that is in it, an artifact in a folder of a run's."""
    repository = places.artifacts_of(run_id)
    if path.is_dir():
        repository.log_artifacts(str(path), "/".join(filter(None, (folder, path.name))))
    else:
        repository.log_artifact(str(path), folder or None)


def _may_write(client: Any, sure: Callable[[str], bool], run_id: str, owner: str | None) -> bool:
    """Whether a run is still of the process that recorded something of it.

    Args:
        client: MLflow's.
        sure: whether it is surely this process's.
        run_id: of the run.
        owner: who says how it ended, or has kept records on disk, and may have been followed by
            another since; none of what is on its way, is anybody's, or of an older version.
    """
    if not owner or (owner == process.identity(process.tags()) and sure(run_id)):
        return True
    return process.identity(query.tags_of(client, run_id)) in ("", owner)


def _forget_reason(client: Any, run_id: str) -> None:
    """While its end was waiting to be sent, a run that finished may have been taken for lost."""
    if "reason" in query.tags_of(client, run_id):
        client.delete_tag(run_id, "reason")


def _dataset_input(described: Record) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data = Dataset(
        name=described.get("name", "dataset")[: names.DATASET_LENGTH],
        digest=described.get("checksum", "")[:_DIGEST_LENGTH],
        source_type="regexp",
        source=described.get("source", ""),
    )
    extra = {key: value for key, value in described.items() if key not in ("kind", "name", "owner")}
    tags = [InputTag(key, value[:500]) for key, value in extra.items() if value]
    return DatasetInput(data, tags)
