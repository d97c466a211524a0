"""The same sweep by every launcher: the same bits, also where a process of it is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import Tracker
from tests.real.sweeps import end, give, recorded, training, wait_for

PLUGINS = {"joblib": "joblib", "submitit_local": "submitit", "ray": "ray"}

pytestmark = pytest.mark.real


def by(launcher: str) -> list[str]:
    """The overrides that ask for a launcher; a skip where it is not installed."""
    module = f"hydra_plugins.hydra_{PLUGINS[launcher]}_launcher"
    if not importlib.util.find_spec(module):
        pytest.skip(f"pip install hydra-{PLUGINS[launcher]}-launcher")
    two = {"joblib": ["hydra.launcher.n_jobs=2"], "ray": ["hydra.launcher.ray.init.num_cpus=2"]}
    # a local Ray, also where a cluster is near
    return [f"hydra/launcher={launcher}", *two.get(launcher, [])]


@pytest.mark.parametrize("launcher", PLUGINS)
def test_a_process_that_is_killed_costs_nothing(
    tmp_path: Path, undisturbed: dict[str, Any], launcher: str
) -> None:
    command = give(tmp_path, *by(launcher))
    os.kill(wait_for(lambda: training(tmp_path, "l1"), "training of l1", command), signal.SIGKILL)
    status, printed = end(command)
    assert status == 0, printed
    assert "[2/4] its process died" in printed
    assert recorded(tmp_path) == undisturbed


@pytest.mark.parametrize("launcher", ["joblib", "ray"])
def test_undisturbed_it_is_the_same(
    tmp_path: Path, undisturbed: dict[str, Any], launcher: str
) -> None:
    status, printed = end(give(tmp_path, *by(launcher)))
    assert status == 0, printed
    assert recorded(tmp_path) == undisturbed


@pytest.mark.parametrize("launcher", PLUGINS)
def test_after_ctrl_c_the_same_command_goes_on(
    tmp_path: Path, undisturbed: dict[str, Any], launcher: str
) -> None:
    command = give(tmp_path, *by(launcher))
    wait_for(lambda: training(tmp_path, "l1"), "training of l1", command)
    command.send_signal(signal.SIGINT)
    status, printed = end(command)
    assert status == 130, printed
    with Tracker(None, "regexp", tmp_path / "mlruns") as tracker:
        runs = tracker.client.search_runs([tracker.experiment_id], "tags.fingerprint != ''")
        told = {(run.info.status, run.data.tags.get("reason")) for run in runs}
    why = "ended by SIGTERM" if launcher == "joblib" else "interrupted from the keyboard (Ctrl-C)"
    interrupted = ("KILLED", why)
    assert interrupted in told
    assert told <= {interrupted, ("FINISHED", None)}
    status, printed = end(give(tmp_path, *by(launcher)))
    assert status == 0, printed
    assert recorded(tmp_path) == undisturbed
