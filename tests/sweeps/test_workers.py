"""Which sweeps have their workers forked from one process, and what else the workers do."""

import multiprocessing
import os
import subprocess
import sys
from multiprocessing import forkserver
from typing import Any

import psutil
import pytest
from joblib.externals.loky.backend import context
from omegaconf import OmegaConf

from regexp.sweeps import workers


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """How workers are to be started, of each server that was asked for."""
    found: list[Any] = []
    monkeypatch.setattr(forkserver, "ensure_running", lambda: found.append("server"))
    monkeypatch.setattr(multiprocessing, "set_forkserver_preload", found.append)
    monkeypatch.setattr(context, "_DEFAULT_START_METHOD", None)
    return found


def launcher(kind: str, **changes: Any) -> Any:
    target = f"hydra_plugins.hydra_{kind}_launcher.{kind}_launcher.{kind.title()}Launcher"
    node = {"_target_": target, "n_jobs": 2, **changes}
    return OmegaConf.create({"hydra": {"launcher": node}, "figures": False, "yardsticks": False})


BASIC = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


def basic(**changes: Any) -> Any:
    node = {"hydra": {"launcher": {"_target_": BASIC}}, "figures": True, "yardsticks": False}
    return OmegaConf.create({**node, **changes})


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "is_command", lambda: True)
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)


def test_workers_of_joblib_are_forked(monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> None:
    monkeypatch.setattr(workers, "is_command", lambda: True)
    workers.start_importing(launcher("joblib"), 3)
    assert started == [["regexp.sweeps.worker"], "server"]
    assert context._DEFAULT_START_METHOD == "forkserver"


@pytest.mark.parametrize(
    ("master", "jobs"),
    [(launcher("joblib"), 1), (launcher("joblib", n_jobs=1), 3), (launcher("submitit"), 3)],
)
def test_others_are_left_alone(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], master: Any, jobs: int
) -> None:
    monkeypatch.setattr(workers, "is_command", lambda: True)
    workers.start_importing(master, jobs)
    assert not started
    assert context._DEFAULT_START_METHOD is None


@pytest.mark.usefixtures("two_cores")
def test_workers_that_train_may_also_draw(started: list[Any]) -> None:
    master = launcher("joblib")
    master.figures = True
    workers.start_importing(master, 3)
    assert started == [["regexp.sweeps.worker", "regexp.sweeps.drawing_worker"], "server"]


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("jobs", [1, 5])
@pytest.mark.parametrize("changes", [{}, {"figures": False, "yardsticks": "auto"}])
def test_a_command_that_trains_by_itself_has_others_draw_and_fit(
    started: list[Any], jobs: int, changes: Any
) -> None:
    workers.start_importing(basic(**changes), jobs)
    assert started == [["regexp.sweeps.drawing_worker"], "server"]
    assert workers.each(basic(**changes), jobs) is not map


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize(
    ("changes", "cores"), [({"figures": False}, 2), ({"dry_run": True}, 2), ({}, 1)]
)
def test_where_nothing_is_drawn_or_there_is_one_core_nobody_helps(
    monkeypatch: pytest.MonkeyPatch, started: list[Any], changes: Any, cores: int
) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    workers.start_importing(basic(**changes), 1)
    assert not started
    assert workers.each(basic(**changes), 1) is map


def test_a_command_that_fails_leaves_no_process_behind() -> None:
    """Its output ends with it, and not when the other has imported."""
    code = """
from multiprocessing import forkserver
from regexp.sweeps import workers
workers.start_server(["regexp.sweeps.drawing_worker"])
print(forkserver._forkserver._forkserver_pid, flush=True)
workers.stop_server()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    process = int(done.stdout)
    assert not psutil.pid_exists(process) or psutil.Process(process).status() == "zombie"
    assert not done.stderr


def test_a_program_of_the_users_is_not_run_again(started: list[Any]) -> None:
    workers.start_importing(launcher("joblib"), 3)  # the main module is pytest's
    assert not started


def doubled(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


def ends_a_worker_at_one(item: tuple[int, int]) -> int:
    command, number = item
    if number == 1 and os.getpid() != command:
        os._exit(1)
    return number


def test_workers_give_in_order_what_they_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "is_command", lambda: True)
    each = workers.each(launcher("joblib"), 2)
    found = list(each(doubled, range(6)))  # by others
    assert [number for number, _ in found] == [0, 2, 4, 6, 8, 10]
    assert os.getpid() not in {process for _, process in found}


def test_where_a_worker_is_ended_the_command_does_what_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As by the system, for want of memory: the runs are trained by then."""
    monkeypatch.setattr(workers, "is_command", lambda: True)
    each = workers.each(launcher("joblib"), 2)
    items = [(os.getpid(), number) for number in range(4)]
    assert list(each(ends_a_worker_at_one, items)) == [0, 1, 2, 3]
    assert "A worker process was ended" in caplog.text
    found = list(each(doubled, range(6)))  # by others
    assert os.getpid() not in {process for _, process in found}


def test_without_workers_it_is_python_that_maps() -> None:
    assert workers.each(launcher("joblib"), 3) is map  # the main module is pytest's
