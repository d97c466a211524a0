"""Runs and sweeps out of the store of runs, as originals."""

from collections.abc import Callable
from functools import partial
from typing import Any

from regexp.errors import ConfigError
from regexp.rerun.archive import schema
from regexp.rerun.original import Original, OriginalSweep
from regexp.tracking import TrackingError
from regexp.tracking.stored import Reader, StoredRun
from regexp.training import checkpoint

LAST_CHECKPOINT = "checkpoints/last.pt"


def read_run(reader: Reader, run_id: str) -> Original:
    """A run of the store, in whatever state it is.

    Raises:
        TrackingError: there is no such run, it is a sweep, or its records are damaged.
    """
    stored = reader.run(run_id)
    if is_sweep(stored):
        raise TrackingError(
            f"{run_id} is a sweep, not one of its runs; which of them "
            f'to use says regexp.open_sweep("{run_id}").best in Python; all of them again: '
            + reader.command("rerun", "--sweep", run_id)
        )
    return _original(reader, stored)


def read_sweep(reader: Reader, sweep_id: str) -> OriginalSweep:
    """A sweep of the store, with all its runs in whatever state they are.

    Raises:
        TrackingError: there is no such sweep, it has no runs, or its records are damaged.
    """
    parent = reader.run(sweep_id)
    if not is_sweep(parent):
        raise TrackingError(
            f"{sweep_id} is the run {parent.name!r}, not a sweep; "
            + (
                f"it belongs to the sweep {parent.sweep_id}"
                if parent.sweep_id
                else "no sweep has it"
            )
        )
    runs = [_original(reader, child) for child in reader.children(sweep_id)]
    if not runs:
        raise TrackingError(f"the sweep {parent.name!r} ({sweep_id}) has no runs")
    settings = _document(reader, sweep_id, "sweep.yaml", schema.read_settings)
    return OriginalSweep(sweep_id, parent.name, runs, settings, reader.source)


def is_sweep(stored: StoredRun) -> bool:
    """Whether it is the parent run of a sweep."""
    return "sweep.key" in stored.tags


def _original(reader: Reader, stored: StoredRun) -> Original:
    run_id, tags = stored.run_id, stored.tags
    return Original(
        run_id=run_id,
        sweep_id=stored.sweep_id,
        name=stored.name,
        status=stored.status,
        reason=tags.get("reason", ""),
        config=_document(reader, run_id, "config.yaml", schema.read_config),
        stack=_document(reader, run_id, "stack.yaml", schema.read_stack),
        environment=_document(reader, run_id, "environment.json", schema.read_environment),
        tags=tags,
        metrics=stored.metrics,
        weights_sha256=tags.get("weights.sha256", ""),
        load_last=partial(_load, reader, run_id),
    )


def _document(
    reader: Reader, run_id: str, name: str, read: Callable[[bytes], dict[str, Any]]
) -> dict[str, Any]:
    """A text artifact, read; {} where there is none."""
    content = reader.text(run_id, name)
    if content is None:
        return {}
    try:
        return read(content)
    except (ValueError, RecursionError) as error:
        raise TrackingError(
            f"the artifact {name} of the run {run_id} is not as regexp writes it: {error}"
        ) from error


def _load(reader: Reader, run_id: str) -> dict[str, Any] | None:
    with reader.file(run_id, LAST_CHECKPOINT) as path:
        if path is None:
            return None
        try:
            return checkpoint.load(path)
        except ConfigError as error:
            raise TrackingError(
                f"the artifact {LAST_CHECKPOINT} of {run_id}: {error.problem}"
            ) from error
