"""A folder with finished runs of every task in it, made once."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from regexp.__main__ import run
from regexp.tracking import Tracker
from tests.prediction.support import QUICK, write_table


@dataclass(frozen=True)
class Place:
    """A working directory.

    Attributes:
        folder: that directory; its store is `mlruns` in it.
        runs: a sweep's name -> ids of its runs.
    """

    folder: Path
    runs: dict[str, list[str]] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.folder / "mlruns"

    def sweep(self, name: str, *arguments: str) -> None:
        """Train, in an experiment of this name."""
        with mock.patch("regexp.sweeps.execute.present"):  # tables and figures take their time
            status = run(["-m", *QUICK, f"tracking.experiment={name}", "figures=false", *arguments])
        assert status == 0
        self.runs[name] = self.ids(name)

    def ids(self, name: str) -> list[str]:
        with Tracker(None, name, self.store) as tracker:
            found = tracker.client.search_runs(
                [tracker.experiment_id], "tags.technique != ''", order_by=["start_time ASC"]
            )
        return [run.info.run_id for run in found]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Place]:
    """Runs on a table: its class, a number in its own unit, and two labels."""
    folder = tmp_path_factory.mktemp("predicting")
    (folder / "mlruns").mkdir()
    shutil.copy(empty_store, folder / "mlruns")
    place = Place(folder)
    table = ("dataset=table", "dataset.path=table.csv", "model.hidden=[8]")
    with contextlib.chdir(folder):
        frame = write_table(Path("table.csv"))
        size = frame["share"].str.rstrip("%").astype(float) * 1000 + 5e4
        frame = frame.assign(price=size, wet=np.arange(160) % 2, warm=(size > 1e5).astype(int))
        frame.to_csv("table.csv", index=False)
        drop = "dataset.drop=[price,wet,warm]"
        place.sweep(
            "class", *table, "dataset.target=kind", drop, "dataset.categorical=[code]", "seeds=2"
        )
        place.sweep("value", *table, "dataset.target=price", "dataset.drop=[kind,wet,warm]")
        place.sweep(
            "labels", *table, "dataset.target=[wet,warm]", "dataset.task=multilabel",
            "dataset.drop=[kind,price]",
        )  # fmt: skip
        yield place


@pytest.fixture
def place(made: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The folder as working directory."""
    monkeypatch.chdir(made.folder)
    return made


@pytest.fixture
def frame(place: Place) -> pd.DataFrame:
    """The table, its codes as text."""
    return pd.read_csv("table.csv", dtype={"code": str})
