"""Whether the jobs of a sweep run on other machines, by the launcher that it has."""

import os
import socket
import subprocess
from typing import Any

from omegaconf import DictConfig


def other_hosts(launcher: DictConfig) -> str:
    """Why jobs run on other machines than this one; empty if they do not, as far as is known.

    Args:
        launcher: Hydra's node.
    """
    match str(launcher.get("_target_", "")).rpartition(".")[2]:
        case "SlurmLauncher" if nodes := _slurm_nodes(launcher.get("partition")):
            return f"Slurm runs jobs on {_few(nodes)}"
        case "RayAWSLauncher":
            return "Ray runs jobs on machines of Amazon"
        case "RayLauncher" if address := _address(launcher):
            return f"Ray runs jobs on the cluster {address}"
    return ""


def _slurm_nodes(partition: str | None) -> list[str]:
    """The machines of a partition of Slurm that are not this one; none where it does not tell.

    Args:
        partition: that jobs ask for; None for the cluster's own.
    """
    try:
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%n %P"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line.split() for line in done.stdout.splitlines()]
    asked = (partition or os.environ.get("SBATCH_PARTITION", "")).split(",")
    wanted = [node for node, name in lines if name.removesuffix("*") in asked]
    wanted = wanted or [node for node, name in lines if name.endswith("*")]
    found = {node.partition(".")[0] for node in wanted or [node for node, _ in lines]}
    return sorted(found - {socket.gethostname().partition(".")[0]})


def _address(launcher: Any) -> str:
    """Of a Ray that has been started; empty where the command starts one of its own."""
    address = launcher.ray.init.get("address")
    if address in (None, "auto"):  # as Ray has it
        address = os.environ.get("RAY_ADDRESS") or address
    return "" if address in (None, "local") else str(address)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)
