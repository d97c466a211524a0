"""Processes that run jobs side by side on this machine, forked from one that has imported for all.

Hydra's joblib launcher starts its workers by loky, each of which would import torch, scikit-learn
and MLflow for itself, and only when the first jobs are given to it.
"""

import multiprocessing
import sys
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

_LAUNCHER = "hydra_plugins.hydra_joblib_launcher."


def start_importing(master: DictConfig, jobs: int) -> None:
    """Let a process import what jobs need, beside this one, if workers will be forked from it.

    Only in the command's own process: a forked worker runs the main module of its parent again, as
    `multiprocessing` does, and a user's program or notebook may have no guard against that.

    Args:
        master: the configuration with Hydra's own node.
        jobs: how many there are.
    """
    launcher: Any = master.hydra.launcher
    is_joblib = str(launcher._target_).startswith(_LAUNCHER)
    if not is_joblib or launcher.n_jobs == 1 or jobs < 2 or not _is_command():
        return
    from joblib.externals.loky.backend.context import set_start_method

    multiprocessing.set_forkserver_preload([f"{__package__}.worker"])
    # A worker that a signal ends leaves a semaphore of tqdm's, which is removed with a warning.
    sys.warnoptions.append("ignore:resource_tracker")  # is given to processes that start now
    try:
        forkserver.ensure_running()
    finally:
        sys.warnoptions.pop()
    set_start_method("forkserver", force=True)


def _is_command() -> bool:
    main = sys.modules["__main__"]
    name = getattr(main.__spec__, "name", None) or Path(getattr(main, "__file__", "")).stem
    return name in ("regexp", "regexp.__main__")
