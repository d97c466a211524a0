"""A store with a sweep in it, made once, and commands that work on it from elsewhere."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from regexp.__main__ import run
from regexp.rerun.original import Original
from regexp.rerun.recorded import read_sweep
from regexp.tracking.stored import Reader

from .archives import packed_in

SMALL = ("dataset=iris", "model.hidden=[8]", "trainer.epochs=3", "trainer.batch_size=32")
TECHNIQUES = "none,dropout,[l1,ema],[batch_norm,early_stopping],sam"


@dataclass(frozen=True)
class Store:
    """A store of runs.

    Attributes:
        folder: `paths.mlruns`.
    """

    folder: Path

    def run(self, *arguments: str) -> int:
        """Give a command; its exit status."""
        return run([*arguments, f"paths.mlruns={self.folder}"])

    def sweep(self, *arguments: str) -> list[Original]:
        """Train a sweep; its runs."""
        before = self.sweeps()
        with mock.patch(
            "regexp.sweeps.execute.present"
        ):  # tables and figures take most of the time
            self.run("-m", "figures=false", "yardsticks=false", *arguments)
        [made] = [one for one in self.sweeps() if one not in before]
        return self.runs(made)

    def sweeps(self) -> list[str]:
        """Ids of all sweeps, oldest first."""
        client = self.client()
        experiment = client.get_experiment_by_name("regexp")
        if experiment is None:
            return []
        runs = client.search_runs(
            [experiment.experiment_id],
            "tags.`sweep.key` != ''",
            order_by=["attributes.start_time ASC"],
        )
        return [run.info.run_id for run in runs]

    def runs(self, sweep_id: str) -> list[Original]:
        return read_sweep(Reader(None, self.folder), sweep_id).runs

    def client(self) -> Any:
        """MLflow's own, to tamper with what is recorded."""
        return Reader(None, self.folder).client


Trained = tuple[Store, list[Original]]
"""A store, and the runs of the sweep in it."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Trained:
    """A sweep of several techniques with two seeds, one of them a run after another."""
    folder = tmp_path_factory.mktemp("first")
    store = Store(folder / "mlruns")
    store.folder.mkdir()
    shutil.copy(empty_store, store.folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        runs = store.sweep(f"regularizer={TECHNIQUES}", "seeds=2", *SMALL)
    finally:
        os.chdir(before)
    shutil.rmtree(store.folder / "hydra")  # a rerun needs nothing of it
    return store, runs


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another working directory than that of the first run, and empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """An archive of two runs, the first with its checkpoint."""
    return packed_in(tmp_path)
