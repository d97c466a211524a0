"""Processes that run jobs side by side on this machine, forked from one that has imported for all.

Hydra's joblib launcher starts its workers by loky, each of which would import torch, scikit-learn
and MLflow for itself, and only when the first jobs are given to it. When they have trained, the
same processes fit yardsticks and draw pictures.
"""

import logging
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig

if TYPE_CHECKING:
    from regexp.compare.figures import Each

_LAUNCHER = "hydra_plugins.hydra_joblib_launcher."
_DRAWING = [
    "regexp.compare.figures",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
]
"""What workers import to draw."""

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


def start_importing(master: DictConfig, jobs: int) -> None:
    """Let a process import what jobs need, beside this one, if workers will be forked from it.

    Only in the command's own process: a forked worker runs the main module of its parent again, as
    `multiprocessing` does, and a user's program or notebook may have no guard against that.

    Args:
        master: the configuration with Hydra's own node.
        jobs: how many there are.
    """
    if not _are_forked(master, jobs):
        return
    from joblib.externals.loky.backend.context import set_start_method

    start_server(_DRAWING if master.figures else ())
    set_start_method("forkserver", force=True)


def start_server(modules: Iterable[str]) -> None:
    """Start the process that workers are forked from, and that imports what they need.

    Args:
        modules: that it imports beside those which every worker needs.
    """
    multiprocessing.set_forkserver_preload([f"{__package__}.worker", *modules])
    # A worker that a signal ends leaves a semaphore of tqdm's, which is removed with a warning.
    sys.warnoptions.append("ignore:resource_tracker")  # is given to processes that start now
    try:
        forkserver.ensure_running()
    finally:
        sys.warnoptions.pop()


def each(master: DictConfig, jobs: int) -> "Each":
    """`map` by the workers, where `start_importing` has prepared them; else Python's own.

    Args:
        master, jobs: as there.

    Returns:
        A function like `map`. Functions and items have to be picklable; what a function raises
        ends all of it. Where a worker is ended, this process does what is left, one by one.
    """
    if not _are_forked(master, jobs):
        return map
    return partial(_each, master.hydra.launcher.n_jobs)


def _each(
    n_jobs: int, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    from joblib import effective_n_jobs
    from joblib.externals.loky import get_reusable_executor

    executor = get_reusable_executor(effective_n_jobs(n_jobs), reuse=True)  # the launcher's
    # as bytes: of large arrays joblib would make files, which nobody may write to
    packed = [pickle.dumps((function, item)) for item in items]
    return _results(executor, packed, [executor.submit(_unpacked, one) for one in packed])


def _results(
    executor: Any, packed: Sequence[bytes], futures: Sequence[Future[Any]]
) -> Iterator[Any]:
    done = 0
    try:
        for future in futures:
            yield future.result()
            done += 1
    except BrokenExecutor:  # the system has ended a worker, most often for want of memory
        executor.shutdown(kill_workers=True)
        _logger.warning("A worker process was ended (is there too little memory?); going on alone.")
        yield from map(_unpacked, packed[done:])
    except BaseException:  # what is left is not asked for any more
        executor.shutdown(kill_workers=True)
        raise


def _unpacked(packed: bytes) -> Any:
    function, item = pickle.loads(packed)
    return function(item)


def _are_forked(master: DictConfig, jobs: int) -> bool:
    launcher: Any = master.hydra.launcher
    is_joblib = str(launcher._target_).startswith(_LAUNCHER)
    return is_joblib and launcher.n_jobs != 1 and jobs > 1 and is_command()


def is_command() -> bool:
    """Whether this process is a command's own, whose main module may be run again."""
    main = sys.modules["__main__"]
    name = getattr(main.__spec__, "name", None) or Path(getattr(main, "__file__", "")).stem
    return name in ("regexp", "regexp.__main__")
