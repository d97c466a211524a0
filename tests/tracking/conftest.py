"""Stores and runs for the tests of tracking."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import RunRecord, Tracker


@pytest.fixture
def folder(empty_store: Path, tmp_path: Path) -> Path:
    """`paths.mlruns` with a store in which nothing was recorded."""
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_store, folder / "mlflow.db")
    return folder


@pytest.fixture
def tracker(folder: Path) -> Iterator[Tracker]:
    with Tracker(None, "regexp", folder) as tracker:
        yield tracker


@pytest.fixture
def sweep(tracker: Tracker) -> RunRecord:
    return tracker.sweep("key", "a sweep", {"seeds": 2})


@pytest.fixture
def start():
    """Start a run with whatever a test does not care about filled in."""

    def start(tracker: Tracker, sweep_id: str, **changes: Any) -> RunRecord:
        arguments: dict[str, Any] = {
            "name": "l1 seed 0",
            "fingerprint": "f0",
            "params": {"model": {"hidden": [64, 64]}},
            "tags": {"technique": "l1", "seed": 0, "dataset": "digits"},
            "artifacts": {"config.yaml": "seeds: 1\n"},
            "dataset": {"name": "digits", "checksum": "ab" * 32, "source": "scikit-learn"},
        }
        return tracker.start(sweep_id, **arguments | changes)

    return start
