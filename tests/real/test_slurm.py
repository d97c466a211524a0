"""A sweep on a real Slurm, whose parts die: nothing is lost, nothing twice, the same bits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from regexp.sweeps.launchers.slurm import queue
from tests.real.slurm import kill_slurmd, missing, plans, process_of
from tests.real.sweeps import TECHNIQUES, end, give, recorded, wait_for

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(missing()), reason=missing())]


def in_training(folder: Path, job: str) -> Callable[[], bool]:
    """Whether the job trains, and a checkpoint of any is there."""
    return lambda: (
        job in plans(folder, "begun") - plans(folder, "json")
        and any(folder.glob("mlruns/checkpoints/*/*.pt"))
    )


def kill_a_task(folder: Path) -> None:
    process = process_of(folder, "1")
    assert process is not None
    process.send_signal(signal.SIGKILL)


def requeue_a_task(folder: Path) -> None:
    process = process_of(folder, "1")
    assert process is not None
    environment = process.environ()
    task = f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    subprocess.run(["scontrol", "requeue", task], check=True)


def warn_a_task(folder: Path) -> None:
    """As before a time limit."""
    process = process_of(folder, "1")
    assert process is not None
    process.send_signal(signal.SIGUSR2)


def preempt(folder: Path) -> None:
    """A job of a partition that goes before takes all CPU cores."""
    whole = ["sbatch", "--partition=high", "--exclusive", "--output=/dev/null", "--wrap=true"]
    subprocess.run(whole, check=True)


def lose_slurmd(folder: Path) -> None:
    kill_slurmd()


@pytest.mark.parametrize(
    "disturb", [kill_a_task, requeue_a_task, preempt, warn_a_task, lose_slurmd]
)
def test_what_dies_costs_nothing(
    tmp_path: Path, undisturbed: dict[str, Any], disturb: Callable[[Path], None]
) -> None:
    command = give(tmp_path, "hydra/launcher=slurm")
    wait_for(in_training(tmp_path, "1"), "checkpoint of the second job", command)
    disturb(tmp_path)
    status, printed = end(command)
    assert status == 0, printed
    assert recorded(tmp_path) == undisturbed
    if disturb is kill_a_task:
        assert re.search(r"\[2/4\] its process died \(Slurm job \d+_1: FAILED", printed), printed
        assert printed.count("it is given again") == 1
    else:
        assert "given again" not in printed


def forget_ids(folder: Path) -> None:
    """As if the command had died between `sbatch` and its note of the ids."""
    [records] = folder.glob("mlruns/launched/*.json")
    content = json.loads(records.read_text())
    ids = {task["id"] for task in content["tasks"]}
    [content["name"]] = {comment for task, comment in queue("%k") if task in ids}
    for task in content["tasks"]:
        task["id"] = f"{content['name']} {task['id'].partition('_')[2]}"
    records.write_text(json.dumps(content))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_same_command_waits_for_the_jobs_that_live(
    tmp_path: Path, undisturbed: dict[str, Any], number: signal.Signals
) -> None:
    command = give(tmp_path, "hydra/launcher=slurm")
    wait_for(in_training(tmp_path, "1"), "checkpoint of the second job", command)
    process = process_of(tmp_path, "1")
    assert process is not None
    # whatever this machine has to do beside, one is not over when the second command is ready
    last = f"{process.environ()['SLURM_ARRAY_JOB_ID']}_{len(TECHNIQUES) - 1}"
    subprocess.run(["scontrol", "hold", last], check=True)
    os.kill(command.pid, number)
    status, printed = end(command)
    if number == signal.SIGKILL:
        forget_ids(tmp_path)
    else:
        assert status == 130
        assert re.search(r"\d tasks go on in Slurm .* `scancel \d+` ends them", printed), printed
    again = give(tmp_path, "hydra/launcher=slurm")
    assert again.stdout is not None
    told = "of an earlier command on the way; none is given twice"
    assert any(told in line for line in again.stdout)
    subprocess.run(["scontrol", "release", last], check=True)
    status, printed = end(again)
    assert status == 0, printed
    assert recorded(tmp_path) == undisturbed
    submitted = {path.name for path in tmp_path.glob("mlruns/hydra/*/.submitit/[0-9]*_*")}
    assert len(submitted) == len(TECHNIQUES), "each once"


@pytest.mark.skipif(torch.cuda.is_available(), reason="jobs would have a GPU")
def test_jobs_are_for_gpus_that_the_login_node_has_not(tmp_path: Path) -> None:
    """They are submitted, and say where they train that there is none."""
    status, printed = end(give(tmp_path, "hydra/launcher=slurm", "trainer.device=cuda"))
    assert status == 1
    told = re.findall(
        r"^\[(\d)/4\] .*the machine that is to train has 0 CUDA devices", printed, re.M
    )
    assert sorted(told) == ["1", "2", "3", "4"], printed


def test_jobs_that_share_a_task_and_are_cancelled(tmp_path: Path) -> None:
    """All that can be known of them is told, and what had ended is kept."""
    command = give(tmp_path, "hydra/launcher=slurm", "launch.jobs_per_task=4", "launch.retries=0")
    wait_for(
        lambda: plans(tmp_path, "json") and process_of(tmp_path, None), "first report", command
    )
    array = process_of(tmp_path, None)
    assert array is not None
    subprocess.run(["scancel", array.environ()["SLURM_JOB_ID"]], check=True)
    status, printed = end(command)
    assert status == 0 or "CANCELLED" in printed, printed
    status, printed = end(give(tmp_path, "hydra/launcher=slurm"))
    assert status == 0, printed
    assert len(recorded(tmp_path)) == 2 * len(TECHNIQUES)
