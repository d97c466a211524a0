"""A search by every launcher: the trials and the recipe of one process, bit for bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.slurm import missing
from tests.real.sweeps import PATIENCE
from tests.real.test_launchers import by
from tests.search.small import SMALL, Runs, recipe, recorded

pytestmark = pytest.mark.real


def searched(folder: Path, *arguments: str) -> tuple[str, Runs]:
    """The recipe and the runs of a search that is given in a folder."""
    words = (*SMALL, f"search.folder={folder}", *arguments)
    command = [sys.executable, "-m", "regexp", "search", *words]
    subprocess.run(command, cwd=folder, check=True, timeout=PATIENCE)
    return recipe(folder), recorded(folder / "mlruns", "regexp")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Runs]:
    """Of one process."""
    return searched(tmp_path_factory.mktemp("alone"), "search.workers=1")


@pytest.mark.parametrize("launcher", ["", "joblib", "ray", "slurm"])
def test_a_search_by_two_processes_is_that_of_one(
    tmp_path: Path, alone: tuple[str, Runs], launcher: str
) -> None:
    if launcher == "slurm" and (reason := missing()):
        pytest.skip(reason)
    asked = {"": [], "slurm": ["hydra/launcher=slurm"]}
    words = asked[launcher] if launcher in asked else by(launcher)
    assert searched(tmp_path, "search.workers=2", *words) == alone
