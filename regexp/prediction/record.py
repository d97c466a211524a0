"""What was stored of a run to predict with, read and checked; of older runs, fitted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from regexp.config.nodes import build_node
from regexp.dataset import stored
from regexp.dataset.base import Data, Dataset
from regexp.dataset.preparation import Preparation
from regexp.errors import ConfigError, first_line
from regexp.metrics.names import TUNING_STAGE, YARDSTICK_STAGE
from regexp.prediction.description import Description, Node, read_description
from regexp.rerun.original import Original
from regexp.rerun.recorded import LAST_CHECKPOINT, read_run
from regexp.rerun.stacks import members_of, replaced
from regexp.rerun.trust import check_trusted
from regexp.sweeps.ingredients import load_data, with_earlier_settings
from regexp.sweeps.model_files import (
    DESCRIPTION,
    MODEL,
    PIPELINE,
    WEIGHTS,
    output_columns,
    target_names,
)
from regexp.tracking.stored import Reader
from regexp.training import checkpoint

CALLED = ("dataset", "model", "regularizer")
"""The parts of a configuration that are built to predict; the rest is read alone."""


@dataclass(frozen=True)
class ModelRecord:
    """What predicts.

    Attributes:
        members: the configuration of every run that trained at once with it, in order.
        position: of the run among them.
        together: the positions of the runs that were tested in the same call.
        dataset: reads rows.
        preparation: makes inputs of rows.
        input_shape: of a row's inputs.
        outputs: numbers that the network gives for a row.
        weights: of the network, as tested.
        memory: of the techniques, where one of them predicts from it.
        remarks: what a user should know of it, one line each.
    """

    members: list[Node]
    position: int
    together: list[int]
    dataset: Dataset
    preparation: Preparation
    input_shape: tuple[int, ...]
    outputs: int
    weights: dict[str, Tensor]
    memory: dict[str, Any]
    remarks: tuple[str, ...] = ()

    @property
    def config(self) -> Node:
        """The run's own configuration."""
        return self.members[self.position]

    @property
    def columns(self) -> list[str]:
        """The columns of a table of predictions."""
        task, classes = self.preparation.task, self.preparation.classes
        return list(output_columns(task, classes, self.outputs, target_names(self.config)))


def read_run_model(
    reader: Reader, run_id: str, folder: str, allowed: Sequence[str] = ()
) -> ModelRecord:
    """The model of a run of the store.

    Args:
        reader: of the store.
        run_id: of the run.
        folder: `paths.data`, which only a run needs that was recorded without its preparation.
        allowed: see `regexp.rerun.trust.check_trusted`.

    Raises:
        ConfigError: the run has no model, is damaged, or calls what is not trusted.
        TrackingError: there is no such run, or the store cannot be used.
    """
    run = read_run(reader, run_id)
    _check_predicts(run)
    with ExitStack() as stack:
        names = (DESCRIPTION, PIPELINE, WEIGHTS)
        paths = [stack.enter_context(reader.file(run_id, f"{MODEL}/{name}")) for name in names]
        description, pipeline, weights = paths
        if description is None or weights is None:
            return _from_checkpoint(reader, run, folder, allowed)
        content = pipeline.read_bytes() if pipeline else b""
        found = read_description(description.read_bytes(), f"the model of the run {run_id}")
        tensors = checkpoint.load(weights)
    return _record(found, content, tensors, allowed, folder)


def read_folder(path: Path) -> ModelRecord:
    """The model in a folder, such as MLflow has downloaded: whatever it names is trusted.

    Args:
        path: of the artifact `model`.

    Raises:
        ConfigError: it is no such folder.
    """
    try:
        description = (path / DESCRIPTION).read_bytes()
        pipeline = path / PIPELINE
        content = pipeline.read_bytes() if pipeline.is_file() else b""
        tensors = checkpoint.load(path / WEIGHTS)
    except OSError as error:
        raise ConfigError(
            f"expected the folder of a model that regexp recorded ({error.strerror})", key=str(path)
        ) from error
    return _record(read_description(description, str(path)), content, tensors, None, "data")


def _check_predicts(run: Original) -> None:
    """Refuse a run that has nothing to predict with, or nothing that should be used."""
    where = f"the run {run.name!r} ({run.run_id})"
    if run.status != "FINISHED":
        reason = f": {first_line(run.reason)}" if run.reason else ""
        raise ConfigError(f"it is {run.status} and has no final weights{reason}", key=where)
    if run.tags.get("stage") == YARDSTICK_STAGE:
        raise ConfigError(
            "it is a yardstick, an estimator of scikit-learn that no run keeps",
            key=where,
            cure="fit it again with scikit-learn",
        )
    if run.tags.get("stage") == TUNING_STAGE:
        raise ConfigError(
            "it is a trial of a search, in which numbers were tried",
            key=where,
            cure="give one of the runs that were made with the numbers it chose",
        )


def _record(
    found: Description,
    pipeline: bytes,
    tensors: Mapping[str, Any],
    allowed: Sequence[str] | None,
    folder: str,
) -> ModelRecord:
    members = [replaced(found.config, member) for member in found.stack.members]
    _check_trusted(members, allowed)
    remarks: tuple[str, ...] = ()
    if found.preparation is None or found.not_stored:
        data, remark = _loaded(found.config, found.data["checksum"], folder, found.not_stored)
        preparation, remarks = _preparation(data), (remark,)
    else:
        preparation = _restored(found.preparation, pipeline, allowed)
    return ModelRecord(
        members=members,
        position=found.stack.position,
        together=found.stack.together,
        dataset=_dataset(found.config),
        preparation=preparation,
        input_shape=tuple(found.input_shape),
        outputs=found.outputs,
        weights=tensors["weights"],
        memory=tensors.get("memory", {}),
        remarks=remarks,
    )


def _restored(description: Node, pipeline: bytes, allowed: Sequence[str] | None) -> Preparation:
    try:
        return stored.restored(description, pipeline, allowed)
    except ConfigError:
        raise
    except Exception as error:  # a damaged file makes the library raise anything
        raise ConfigError(
            f"{PIPELINE if pipeline else DESCRIPTION} has a preparation that cannot be read "
            f"({type(error).__name__}: {error}); it may be damaged, or another version of "
            "scikit-learn wrote it"
        ) from error


def _from_checkpoint(
    reader: Reader, run: Original, folder: str, allowed: Sequence[str]
) -> ModelRecord:
    """The model of a run that was recorded before runs had one: its preparation is fitted again."""
    members, _, position = members_of(run)
    size = run.stack.get("at_once") or len(members)
    first = position - position % size
    members, position = members[first : first + size], position - first
    _check_trusted(members, allowed)
    with reader.file(run.run_id, LAST_CHECKPOINT) as path:
        if path is None:
            raise ConfigError(
                f"it has neither the artifact {MODEL} nor {LAST_CHECKPOINT}",
                key=f"the run {run.name!r} ({run.run_id})",
            )
        last = checkpoint.load(path)
    config = run.config
    data, remark = _loaded(config, run.tags.get("data.checksum", ""), folder, "")
    return ModelRecord(
        members=members,
        position=position,
        together=list(range(len(members))),
        dataset=_dataset(config),
        preparation=_preparation(data),
        input_shape=tuple(data.train.inputs.shape[1:]),
        outputs=data.outputs,
        weights=last["weights"],
        memory=last.get("memory", {}),
        remarks=(remark,),
    )


def _check_trusted(members: Sequence[Node], allowed: Sequence[str] | None) -> None:
    if allowed is not None:
        check_trusted(({key: member[key] for key in CALLED} for member in members), allowed)


def _dataset(config: Node) -> Dataset:
    dataset = build_node("dataset", with_earlier_settings(config["dataset"]))
    assert isinstance(dataset, Dataset)
    return dataset


def _loaded(config: Node, checksum: str, folder: str, reason: str) -> tuple[Data, str]:
    """The data that a run was trained on, and the line that says they were read again.

    Raises:
        ConfigError: they are not here, or others are.
    """
    why = f"its preprocessing is not stored ({reason or 'an older version recorded it'})"
    try:
        data = load_data(with_earlier_settings(config["dataset"]), folder, config["seed"])
    except ConfigError as error:
        raise ConfigError(
            f"{why}, and the data to fit it again cannot be read: {error}; paths.data=FOLDER says "
            "where they are"
        ) from error
    if data.checksum != checksum:
        raise ConfigError(
            f"{why}, and the data that are here are not those of the run",
            key=data.source, got=data.checksum, expected=checksum or "a checksum that was recorded",
        )  # fmt: skip
    return data, f"{why}: fitted again on {data.source}, which has the recorded checksum"


def _preparation(data: Data) -> Preparation:
    if data.preparation is None:
        raise ConfigError(
            "the dataset does not say how it prepares rows, so that new ones cannot be",
            key="dataset",
        )
    return data.preparation
