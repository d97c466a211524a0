"""The same command on two machines with one server."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from regexp.tracking import Tracker
from regexp.tracking.registry import PREFIX
from tests.real.machines import Machine, can_name_hosts, finished
from tests.real.servers import Servers
from tests.real.sweeps import PATIENCE
from tests.sandbox import SMALL

pytestmark = [
    pytest.mark.real,
    pytest.mark.usefixtures("login"),
    pytest.mark.skipif(not can_name_hosts(), reason="no process may have a host name of its own"),
]
EPOCHS = 40
COMMAND = ("-m", "regularizer=none,l1,l2,dropout", *SMALL, f"trainer.epochs={EPOCHS}",
           "checkpoint.every=1", "figures=false", "yardsticks=true")  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command comes to on one machine, with a store of its own."""
    folder = tmp_path_factory.mktemp("alone")
    Machine("single", folder, servers).run(*COMMAND, "tracking.uri=null")
    with Tracker(None, "regexp", folder / "single") as tracker:
        return ended(tracker)


def ended(tracker: Tracker) -> dict[str, Any]:
    """Name of a run -> its status, and its metrics by step; of the one sweep that there is."""
    found = tracker.client.search_runs([tracker.experiment_id], "tags.`sweep.key` != ''")
    [parent] = found
    assert parent.info.status == "FINISHED"
    runs = tracker.runs(parent.info.run_id)
    assert len(runs) == runs["name"].nunique(), "no run is there twice"
    result = {}
    for run in runs.to_dict("records"):
        curve = tracker.client.get_metric_history(run["run_id"], "val/loss")
        points = [(point.step, point.value) for point in curve]
        result[str(run["name"])] = run["status"], points, run["metrics.test/accuracy"]
    return result


def team(servers: Servers, experiment: str, folder: Path) -> dict[str, Any]:
    with Tracker(servers.mlflow.address, experiment, folder / "reader") as tracker:
        left = [one.name for one in tracker.client.search_registered_models()]
        assert [name for name in left if name.startswith(PREFIX)] == []
        return ended(tracker)


def test_at_once_every_run_is_made_once(
    servers: Servers, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    command = (*COMMAND, "tracking.experiment=at once")
    both = [Machine(name, tmp_path, servers).start(*command) for name in ("here", "there")]
    printed = [finished(one) for one in both]
    assert all("vs none" in one for one in printed)
    waited = sum("waits for process" in one for one in printed)
    assert waited, printed
    assert team(servers, "at once", tmp_path) == undisturbed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_what_one_leaves_the_other_ends(
    servers: Servers, tmp_path: Path, undisturbed: dict[str, Any], number: int
) -> None:
    command = (*COMMAND, f"tracking.experiment=left {number}")
    first = Machine("here", tmp_path, servers).start(*command)
    assert first.stdout is not None
    for line in first.stdout:
        if "[2/4]" in line:
            break
    second = Machine("there", tmp_path, servers).start(*command)
    assert second.stdout is not None
    told = []
    for line in second.stdout:
        told.append(line)
        if "waits for process" in line:
            break
    time.sleep(0.5)
    os.killpg(first.pid, number)
    first.communicate(timeout=PATIENCE)
    finished(second)
    assert team(servers, f"left {number}", tmp_path) == undisturbed
