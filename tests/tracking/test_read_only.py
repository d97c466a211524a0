"""Stores that may not be written are read all the same, and nothing is made in them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from regexp.__main__ import USAGE_ERROR, run
from regexp.tracking import Tracker
from tests.sandbox import copy_runs
from tests.tracking.runs import start


@pytest.fixture(params=["closed", "open", "left"])
def read_only(
    fresh_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> tuple[Path, str]:
    """A moved folder that may not be written and a sweep in it: its log is empty, or has runs."""
    monkeypatch.chdir(tmp_path)
    with Tracker(None, "regexp", fresh_store) as tracker:
        sweep = tracker.sweep("key", "a sweep", {"command": "seeds=2"})
        for seed in range(2):
            tags = {"technique": "none", "seed": seed, "dataset": "iris", "split": "shared"}
            record = start(tracker, sweep.id, fingerprint=str(seed), name=f"none {seed}", tags=tags)
            record.summary({"test/accuracy": 0.5 + seed / 10})
            record.finish()
        sweep.finish()
    folder = tmp_path / "archive"
    copy_runs(fresh_store, folder)
    if request.param == "closed":
        with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
            connection.execute("SELECT count(*) FROM runs").fetchall()
    elif request.param == "left":  # on a medium, say: SQLite's index is of the memory
        (folder / "mlflow.db-shm").unlink()
    access = os.access

    def may(path: Any, mode: int, **others: Any) -> bool:
        inside = Path(path).is_relative_to(folder)
        return access(path, mode, **others) and not (inside and mode & os.W_OK)

    monkeypatch.setattr(os, "access", may)
    return folder, sweep.id


def contents(folder: Path) -> dict[Path, bytes | None]:
    """What is in a folder; of SQLite's index that it is there, as who reads leaves marks in it."""
    return {
        path: path.read_bytes() if path.is_file() and path.suffix != ".db-shm" else None
        for path in folder.rglob("*")
    }


def test_it_is_listed_and_compared(
    read_only: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, sweep_id = read_only
    before = contents(folder)
    where = f"paths.mlruns={folder}"
    assert run(["ls", where]) == 0
    assert f"{sweep_id}  " in capsys.readouterr().out
    assert run(["compare", sweep_id, "--no-record", "figures=false", where]) == 0
    assert "none        2/2         0.55" in capsys.readouterr().out
    assert contents(folder) == before


def test_one_that_cannot_be_copied_says_what_to_do(
    read_only: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = read_only
    (folder / "mlflow.db").write_bytes(b"no database, but of its length" * 100)
    assert run(["ls", f"paths.mlruns={folder}"]) == USAGE_ERROR
    told = capsys.readouterr().err
    assert f"{folder / 'mlflow.db'} may not be written here, and a copy of it cannot be re" in told
    assert "file is not a database" in told
    assert (
        "Copy the whole folder to where you may write, and give that by paths.mlruns=FOLD" in told
    )
