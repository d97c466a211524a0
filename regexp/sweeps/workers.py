"""Processes of this machine beside a command's own, forked from one that has imported for all.

Hydra's joblib launcher starts its workers by loky, each of which would import torch, scikit-learn
and MLflow for itself, and only when the first jobs are given to it. When they have trained, the
same processes fit yardsticks and draw pictures. Where the command trains by itself, workers do no
more than these two, and nothing while it trains, so that what training costs is measured alone.
"""

import contextlib
import logging
import multiprocessing
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import DictConfig

from regexp.config.values import yardsticks_of

if TYPE_CHECKING:
    from regexp.compare.figures import Each

_JOBLIB = "hydra_plugins.hydra_joblib_launcher."
_BASIC = "hydra._internal.core_plugins.basic_launcher."
_AFTERWARDS = 4
"""Workers where the command trains by itself, at most."""

TRAINING, DRAWING = f"{__package__}.worker", f"{__package__}.drawing_worker"
"""What the process that workers are forked from imports for those that do so."""

_logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


def start_importing(master: DictConfig, jobs: int) -> None:
    """Let a process import what workers need, beside this one, if they will be forked from it.

    Only in the command's own process: a forked worker runs the main module of its parent again, as
    `multiprocessing` does, and a user's program or notebook may have no guard against that.

    Args:
        master: the configuration with Hydra's own node.
        jobs: how many there are.
    """
    number = _workers(master, jobs)
    if not number:
        return
    from joblib.externals.loky.backend.context import set_start_method

    trains, draws = _by_joblib(master, jobs), _draws(master)
    start_server([*[TRAINING] * trains, *[DRAWING] * draws])
    set_start_method("forkserver", force=True)


def start_server(modules: Iterable[str]) -> None:
    """Start the process that workers are forked from, and that imports what they need."""
    multiprocessing.set_forkserver_preload([*modules])
    # A worker that a signal ends leaves a semaphore of tqdm's, which is removed with a warning.
    sys.warnoptions.append("ignore:resource_tracker")  # is given to processes that start now
    try:
        forkserver.ensure_running()
    finally:
        sys.warnoptions.pop()


def stop_server() -> None:
    """End that process, if there is one: whoever reads a command's output waits for it too."""
    if (process := getattr(forkserver._forkserver, "_forkserver_pid", None)) is not None:
        with contextlib.suppress(OSError):  # it has ended
            os.kill(process, signal.SIGKILL)


def each(master: DictConfig, jobs: int) -> "Each":
    """`map` by the workers, where `start_importing` has prepared them; else Python's own.

    Args:
        master, jobs: as there.

    Returns:
        A function like `map`. Functions and items have to be picklable; what a function raises
        ends all of it. Where a worker is ended, this process does what is left, one by one.
    """
    number = _workers(master, jobs)
    return partial(_each, number) if number else map


def _each(
    number: int, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    # as bytes: of large arrays joblib would make files, which nobody may write to
    packed = [pickle.dumps((function, item)) for item in items]
    # in a thread: whoever asks for a worker waits until the server has imported
    return _results(packed, ThreadPoolExecutor(1).submit(_submit, number, packed))


def _submit(number: int, packed: Sequence[bytes]) -> tuple[Any, list[Future[Any]]]:
    from joblib import effective_n_jobs
    from joblib.externals.loky import get_reusable_executor

    executor = get_reusable_executor(effective_n_jobs(number), reuse=True)  # perhaps the launcher's
    return executor, [executor.submit(_unpacked, one) for one in packed]


def _results(
    packed: Sequence[bytes], submitted: Future[tuple[Any, list[Future[Any]]]]
) -> Iterator[Any]:
    executor, futures = submitted.result()
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


def _workers(master: DictConfig, jobs: int) -> int:
    """How many processes beside this one are forked, as joblib's `n_jobs`; 0 if none are."""
    if not is_command() or master.get("dry_run"):
        return 0
    if _by_joblib(master, jobs):
        return int(master.hydra.launcher.n_jobs)
    alone = str(master.hydra.launcher._target_).startswith((_BASIC, _JOBLIB))
    if not alone or not _draws(master):
        return 0
    from joblib import cpu_count

    cores = cpu_count()
    return min(cores, _AFTERWARDS) if cores > 1 else 0


def _by_joblib(master: DictConfig, jobs: int) -> bool:
    """Whether workers train."""
    launcher: Any = master.hydra.launcher
    is_joblib = str(launcher._target_).startswith(_JOBLIB)
    return is_joblib and launcher.n_jobs != 1 and jobs > 1


def _draws(master: DictConfig) -> bool:
    """Whether there is anything to draw or to fit."""
    return bool(master.figures) or yardsticks_of(master) is not False


def is_command() -> bool:
    """Whether this process is a command's own, whose main module may be run again."""
    main = sys.modules["__main__"]
    name = getattr(main.__spec__, "name", None) or Path(getattr(main, "__file__", "")).stem
    return name in ("regexp", "regexp.__main__")
