"""A sweep on several machines of a cluster, one of which is switched off; with a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import psutil
import pytest

from regexp.tracking import Tracker
from tests.real import slurm
from tests.real.machines import can_name_hosts, on_machine, switch_off
from tests.real.programs import Program, free_port
from tests.real.programs import wait_for as wait_for_program
from tests.real.servers import Servers
from tests.real.sweeps import end, give, recorded, wait_for
from tests.real.test_launchers import by

pytestmark = [
    pytest.mark.real,
    pytest.mark.usefixtures("login"),
    pytest.mark.skipif(not can_name_hosts(), reason="no process may have a host name of its own"),
]

NODES = {"node1", "node2"}
Cluster = tuple[list[str], Callable[[str], AbstractContextManager[None]]]
"""The overrides that ask for it, and what switches one of its nodes off meanwhile."""


@contextmanager
def of_slurm(folder: Path) -> Iterator[Cluster]:
    if reason := slurm.missing():
        pytest.skip(reason)
    yield ["hydra/launcher=slurm", f"hydra.launcher.partition={slurm.NODES}"], slurm.without_node


@contextmanager
def of_ray(folder: Path) -> Iterator[Cluster]:
    """One that is there before the command, as `docs/cluster.md` has it."""
    asked = by("ray")
    ray, port = str(Path(sys.executable).with_name("ray")), free_port()
    address = f"127.0.0.1:{port}"
    begin = [ray, "start", "--block", "--num-cpus=1", "--disable-usage-stats"]
    places = {"node1": ["--head", f"--port={port}", "--include-dashboard=false"],
              "node2": [f"--address={address}"]}  # fmt: skip
    running: dict[str, Program] = {}

    def end(name: str) -> None:
        program = running.pop(name)
        assert program.process is not None
        switch_off(psutil.Process(program.process.pid))
        program.end()

    def answers() -> bool:
        status = [ray, "status", f"--address={address}"]
        return not subprocess.run(status, capture_output=True, check=False).returncode

    @contextmanager
    def without(name: str) -> Iterator[None]:
        end(name)
        yield

    try:
        for name, words in places.items():
            running[name] = Program(on_machine(name, *begin, *words), folder / f"{name}.log")
            running[name].start()
            wait_for_program(running[name], answers)
        there = [
            "hydra.launcher.ray.init.num_cpus=null",
            f"hydra.launcher.ray.init.address={address}",
        ]
        yield [*asked, *there], without
    finally:
        for name in list(running):
            end(name)


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not have it is no part of the cluster."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", token_hex(32))


@pytest.mark.parametrize("cluster", [of_slurm, of_ray])
def test_what_a_node_that_goes_away_had_begun_ends_on_another(
    servers: Servers,
    tmp_path: Path,
    undisturbed: dict[str, Any],
    cluster: Callable[[Path], AbstractContextManager[Cluster]],
) -> None:
    store, experiment = servers.mlflow.address, cluster.__name__

    def hosts_in_training() -> bool:
        with Tracker(store, experiment, tmp_path / "reader") as tracker:
            wanted = "attributes.status = 'RUNNING' and tags.fingerprint != ''"
            runs = tracker.client.search_runs([tracker.experiment_id], wanted)
            begun = {run.data.tags["host"] for run in runs} == NODES
            return begun and any(tmp_path.glob("mlruns/checkpoints/*/*.pt"))

    with cluster(tmp_path) as (asked, without):
        where = [f"tracking.uri={store}", f"tracking.experiment={experiment}"]
        command = give(tmp_path, *asked, *where)
        wait_for(hosts_in_training, "training on both nodes", command)
        with without("node2"):
            status, printed = end(command)
    assert status == 0, printed
    assert recorded(tmp_path, store, experiment) == undisturbed
