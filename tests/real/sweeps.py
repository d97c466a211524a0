"""Sweeps given as commands of their own, and what the store has of them."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from regexp.tracking import Tracker

ROOT = Path(__file__).parents[2]
TECHNIQUES = ("none", "l1", "dropout", "ema")
SWEEP = (
    "-m",
    f"regularizer={','.join(TECHNIQUES)}",
    "seeds=2",
    "model.hidden=[32]",
    "trainer.epochs=300",
    "checkpoint.every=1s",
    "figures=false",
    "yardsticks=false",
)
PATIENCE = 900.0
"""Seconds for whatever is waited for: the machine may be busy."""


def give(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Give the sweep in a folder, with further arguments; the command on its way."""
    return subprocess.Popen(
        [sys.executable, "-m", "regexp", *SWEEP, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(command: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and output of a command when it has ended."""
    try:
        printed, _ = command.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        command.kill()
        raise
    return command.returncode, printed


def wait_for(happened: Callable[[], Any], what: str, command: subprocess.Popen[str]) -> Any:
    """What `happened` gives, when it gives something while a command runs."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if found := happened():
            return found
        if command.poll() is not None:
            raise AssertionError(f"no {what} came: {command.communicate()[0]}")
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def training(folder: Path, technique: str) -> int | None:
    """The process that trains a technique, when a checkpoint of some runs is there."""
    if not any(folder.glob("mlruns/checkpoints/*/*.pt")):
        return None
    with Tracker(None, "regexp", folder / "mlruns") as tracker:
        going = f"tags.technique = '{technique}' and attributes.status = 'RUNNING'"
        for run in tracker.client.search_runs([tracker.experiment_id], going):
            return int(run.data.tags["pid"])
    return None


def recorded(
    folder: Path, store: str | None = None, experiment: str = "regexp"
) -> dict[str, tuple[str, str, dict[str, list[tuple[int, float]]]]]:
    """Name of each run of the only sweep -> its status, its weights' checksum, all its curves.

    Args:
        folder: in which it was given.
        store: `tracking.uri`.
        experiment: `tracking.experiment`.
    """
    found = {}
    with Tracker(store, experiment, folder / "mlruns") as tracker:
        client, experiment = tracker.client, tracker.experiment_id
        [parent] = client.search_runs([experiment], "tags.`sweep.key` != ''")
        assert parent.info.status == "FINISHED"
        for run in client.search_runs([experiment], "tags.fingerprint != ''"):
            curves = {
                name: [(p.step, p.value) for p in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
                if name != "seconds"
            }
            checksum = run.data.tags.get("weights.sha256", "")
            assert run.info.run_name not in found, "twice"
            found[run.info.run_name] = (run.info.status, checksum, curves)
    return found
