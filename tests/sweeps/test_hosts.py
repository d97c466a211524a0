"""Launchers that run jobs on other machines."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from omegaconf import OmegaConf

import regexp.sweeps.hosts
from regexp.__main__ import run
from regexp.sweeps.hosts import other_hosts

SLURM = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
RAY = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"


@pytest.fixture
def sinfo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the place of Slurm's, which prints what a test writes into the file beside."""
    program = tmp_path / "bin" / "sinfo"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/nodes\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return tmp_path / "nodes"


def hosts(**launcher: object) -> str:
    return other_hosts(OmegaConf.create(dict(launcher)))


def test_slurm_has_other_machines_or_this_one_alone(sinfo: Path) -> None:
    here = socket.gethostname()
    sinfo.write_text(f"{here} low*\n{here} high\n")  # one line for each partition
    assert hosts(**SLURM) == ""
    of_all = f"{here} low\n" + "".join(f"{node} low\n" for node in ("node1.cluster", "node2"))
    sinfo.write_text(f"{of_all}node3 high\nnode4 high\n")
    assert hosts(**SLURM) == "Slurm runs jobs on node1, node2, node3, ..."


def test_slurm_runs_jobs_on_the_machines_of_a_partition(
    sinfo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sinfo.write_text(f"node1 other\nnode2 other\n{socket.gethostname()} here*\nnode3 third\n")
    others = "Slurm runs jobs on node1, node2"
    assert hosts(**SLURM) == ""
    assert hosts(**SLURM, partition="here") == ""
    assert hosts(**SLURM, partition="other") == others
    assert hosts(**SLURM, partition="third,other") == f"{others}, node3"
    monkeypatch.setenv("SBATCH_PARTITION", "other")
    assert hosts(**SLURM) == others
    assert hosts(**SLURM, partition="here") == ""


def test_without_slurm_it_is_slurms_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert hosts(**SLURM) == ""


@pytest.mark.parametrize(
    ("address", "told"),
    [(None, ""), ("local", ""), ("auto", "Ray runs jobs on the cluster auto")],
)
def test_ray_has_where_it_was_started_before(
    address: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert hosts(_target_=RAY, ray={"init": {"address": address}}) == told


@pytest.mark.parametrize(
    ("address", "is_elsewhere"), [(None, True), ("auto", True), ("local", False)]
)
def test_ray_finds_a_cluster_by_a_variable(
    address: str | None, is_elsewhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    told = "Ray runs jobs on the cluster head:6379" if is_elsewhere else ""
    assert hosts(_target_=RAY, ray={"init": {"address": address}}) == told


def test_others_run_here() -> None:
    assert hosts(_target_="hydra._internal.core_plugins.basic_launcher.BasicLauncher") == ""


def test_a_sweep_on_them_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(regexp.sweeps.hosts, "other_hosts", lambda launcher: "jobs are elsewhere")
    assert run(["-m", "regularizer=none,l1"]) == 2
    assert "mlflow.db, and jobs are elsewhere: over a network" in capsys.readouterr().err
    assert not (tmp_path / "mlruns").exists()
