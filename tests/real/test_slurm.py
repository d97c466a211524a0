"""A sweep on a real Slurm, whose parts die: nothing is lost, nothing twice, the same bits."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.real.sweeps import TECHNIQUES, end, give, recorded, wait_for


def missing() -> str:
    """Why there is no Slurm to try; empty if there is one."""
    if not importlib.util.find_spec("submitit"):
        return "pip install 'regexp[slurm]'"
    if not shutil.which("squeue") or subprocess.run(["squeue"], capture_output=True).returncode:
        return "no Slurm answers: tests/real/slurm.sh starts one"
    return ""


pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(missing()), reason=missing())]


def plans(folder: Path, suffix: str) -> set[str]:
    return {path.stem for path in folder.glob(f"mlruns/hydra/*/plans/*.{suffix}")}


def in_training(folder: Path, job: str) -> Callable[[], bool]:
    """Whether the job trains, and a checkpoint of any is there."""
    return lambda: (
        job in plans(folder, "begun") - plans(folder, "json")
        and any(folder.glob("mlruns/checkpoints/*/*.pt"))
    )


def process_of(folder: Path, job: str) -> psutil.Process | None:
    """The Python of a job's task."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "submitit.core._submit" in line and str(folder) in line and "srun" not in line:
            try:
                if process.environ().get("SLURM_ARRAY_TASK_ID") == job:
                    return process
            except psutil.Error:
                continue
    return None


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


def kill_slurmd(folder: Path) -> None:
    killed = [one for one in psutil.process_iter(["name"]) if one.info["name"] == "slurmd"]
    for process in killed:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(killed, timeout=30)
    subprocess.run(["slurmd"], check=True)


@pytest.mark.parametrize(
    "disturb", [kill_a_task, requeue_a_task, preempt, warn_a_task, kill_slurmd]
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
    if number == signal.SIGINT:
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


def test_more_tasks_than_an_array_may_have_are_several(monkeypatch: pytest.MonkeyPatch) -> None:
    from regexp.sweeps.launchers.by_submitit import Slurm

    class Executor:
        """It notes what it is given."""

        def map_array(self, call: object, tasks: list[Any]) -> list[Any]:
            arrays.append([position for [(position, _)] in tasks])
            first = sum(map(len, arrays)) - len(tasks)
            return [SimpleNamespace(job_id=str(first + at)) for at in range(len(tasks))]

    arrays: list[list[int]] = []
    slurm = Slurm.__new__(Slurm)
    slurm._launcher, slurm._submitted, slurm._executor = None, {}, Executor()
    slurm._overrides = [[]] * 5
    assert slurm._largest_array() > 1000, "as the real one says"
    monkeypatch.setattr(slurm, "_largest_array", lambda: 2)
    assert slurm.submit([[position] for position in range(5)]) == list("01234")
    assert arrays == [[0, 1], [2, 3], [4]]


def test_jobs_that_share_a_task_and_are_cancelled(tmp_path: Path) -> None:
    """All that can be known of them is told, and what had ended is kept."""
    command = give(tmp_path, "hydra/launcher=slurm", "launch.jobs_per_task=4", "launch.retries=0")
    wait_for(
        lambda: plans(tmp_path, "json") and process_of_single(tmp_path), "first report", command
    )
    array = process_of_single(tmp_path)
    assert array is not None
    subprocess.run(["scancel", array.environ()["SLURM_JOB_ID"]], check=True)
    status, printed = end(command)
    assert status == 0 or "CANCELLED" in printed, printed
    status, printed = end(give(tmp_path, "hydra/launcher=slurm"))
    assert status == 0, printed
    assert len(recorded(tmp_path)) == 2 * len(TECHNIQUES)


def process_of_single(folder: Path) -> psutil.Process | None:
    """The Python of the only task, which is in no array."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "submitit.core._submit" in line and str(folder) in line and "srun" not in line:
            return process
    return None
