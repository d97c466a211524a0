"""What is done to a real Slurm: its tasks, and the daemon that runs them."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.real.machines import beside, on_machine, switch_off

NODES = "two"
"""The partition of two nodes that this machine plays."""


def missing() -> str:
    """Why there is no Slurm to try; empty if there is one."""
    if not importlib.util.find_spec("submitit"):
        return "pip install 'regexp[slurm]'"
    if not shutil.which("squeue") or subprocess.run(["squeue"], capture_output=True).returncode:
        return "no Slurm answers: tests/real/slurm.sh starts one"
    return ""


def plans(folder: Path, suffix: str) -> set[str]:
    """The jobs of commands given in a folder that have left a mark or a report."""
    return {path.stem for path in folder.glob(f"mlruns/hydra/*/plans/*.{suffix}")}


def tasks(folder: Path) -> Iterator[psutil.Process]:
    """The Pythons of the tasks of commands given in a folder."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        if "submitit.core._submit" in line and str(folder) in line and "srun" not in line:
            yield process


def process_of(folder: Path, job: str | None) -> psutil.Process | None:
    """The Python of the task with this number in its array; with None, of any."""
    for process in tasks(folder):
        with suppress(psutil.Error):
            if job is None or process.environ().get("SLURM_ARRAY_TASK_ID") == job:
                return process
    return None


def kill_slurmd() -> None:
    """Kill the daemon of this machine, and start it again: its tasks know nothing of it."""
    killed = [one for one in beside() if one.info["name"] == "slurmd"]
    for process in killed:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(killed, timeout=30)
    subprocess.run(["slurmd"], check=True)


@contextmanager
def without_node(name: str) -> Iterator[None]:
    """Switch a node off, have Slurm learn of it, and switch it on again at the end.

    Else Slurm learns of it by itself when the node has not answered for `SlurmdTimeout`.
    """
    daemon = int(Path(f"/run/slurmd.{name}.pid").read_text())
    switch_off(psutil.Process(daemon))
    down = ["scontrol", "update", f"nodename={name}", "state=down", "reason=test"]
    subprocess.run(down, check=True)
    try:
        yield
    finally:
        subprocess.run(on_machine(name, "slurmd"), check=True)
