"""Which sweeps have their workers forked from a process that imports for all of them."""

import multiprocessing
from multiprocessing import forkserver
from typing import Any

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
    return OmegaConf.create({"hydra": {"launcher": {"_target_": target, "n_jobs": 2, **changes}}})


def test_workers_of_joblib_are_forked(monkeypatch: pytest.MonkeyPatch, started: list[Any]) -> None:
    monkeypatch.setattr(workers, "_is_command", lambda: True)
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
    monkeypatch.setattr(workers, "_is_command", lambda: True)
    workers.start_importing(master, jobs)
    assert not started
    assert context._DEFAULT_START_METHOD is None


def test_a_program_of_the_users_is_not_run_again(started: list[Any]) -> None:
    workers.start_importing(launcher("joblib"), 3)  # the main module is pytest's
    assert not started
