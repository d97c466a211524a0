"""Where tests give whole commands: an empty working directory, and an experiment of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

from regexp.__main__ import run
from regexp.metrics.names import TEST_OUTPUTS
from regexp.tracking import Tracker
from regexp.tracking.stored import Reader

SMALL = (
    "model.hidden=[8]",
    "trainer.epochs=2",
    "dataset.train_size=64",
    "yardsticks=false",
    "seeds=2",
)


def copy_runs(folder: Path, target: Path) -> None:
    """Copy a folder of runs whose database this process may have open, to where nothing is yet.

    By another process: to close a file takes away all locks that this process has on it, SQLite's
    too (https://sqlite.org/howtocorrupt.html, 2.2). The next process that opens the database then
    takes itself for the only one, and deletes the log that connections of this process read.
    """
    subprocess.run(["cp", "-R", folder, target], check=True)


class Sandbox:
    """An empty working directory, and an experiment of its own in the store.

    Attributes:
        folder: the working directory.
        arguments: what sends a command to that experiment.
    """

    def __init__(self, folder: Path, store: Path, experiment: str) -> None:
        self.folder = folder
        self.store = store
        self.experiment = experiment
        self.arguments = [
            f"paths.mlruns={store}",
            f"tracking.experiment={experiment}",
            "figures=false",
            "yardsticks=false",
        ]

    def run(self, *arguments: str) -> int:
        """Give a command; its exit status."""
        return run([*arguments, *self.arguments])

    def tracker(self) -> Tracker:
        """The store, opened."""
        return Tracker(None, self.experiment, self.store)

    def parents(self) -> dict[str, str]:
        """Id of a parent run -> its status."""
        with self.tracker() as tracker:
            found = tracker.client.search_runs([tracker.experiment_id], "tags.`sweep.key` != ''")
        return {run.info.run_id: run.info.status for run in found}

    def children(self) -> Any:
        """The runs of the only sweep, as `Tracker.runs` gives them."""
        [parent] = self.parents()
        with self.tracker() as tracker:
            return tracker.runs(parent)

    def test_outputs(self, run_id: str) -> bytes:
        """The file with what a run of the store gave for every test row."""
        content = Reader(None, self.store).text(run_id, TEST_OUTPUTS)
        assert content is not None
        return content

    def reports(self) -> list[dict[str, Any]]:
        """What the jobs of this test said of themselves."""
        files = self.store.glob("hydra/*/plans/*.json")
        paths = sorted(files, key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in paths]
