"""Jobs as tasks of Ray, started as Hydra's launcher does, and each waited for by itself."""

import contextlib
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import setup_globals
from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray, start_ray
from omegaconf import open_dict

from regexp.addresses import public
from regexp.errors import first_line
from regexp.sweeps.launchers.collect import Standing


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep this process's handlers of signals: Ray sets one that ends the process at SIGTERM."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    if threading.current_thread() is threading.main_thread():
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)


class Ray:
    """See `regexp.sweeps.launchers.collect.Cluster`.

    Args:
        launcher: Hydra's for Ray, set up.
        overrides: of each job.
    """

    name = "Ray"
    outlives = False

    def __init__(self, launcher: Any, overrides: Sequence[list[str]]) -> None:
        setup_globals()
        self._launcher = launcher
        self._overrides = overrides
        self._tasks: dict[str, Any] = {}
        with _own_signals():
            start_ray(launcher.ray_cfg.init)

    @property
    def together(self) -> int:
        """How many tasks are submitted together, at most."""
        return 1000

    def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
        """Start a task for each job, by its position; the id of each."""
        return [self._submit(*task) for task in tasks]

    def _submit(self, position: int) -> str:
        launcher = self._launcher
        config = launcher.hydra_context.config_loader.load_sweep_config(
            launcher.config, list(self._overrides[position])
        )
        with open_dict(config):
            config.hydra.job.id = f"job_{position}"
            config.hydra.job.num = position
        task = launch_job_on_ray(
            launcher.hydra_context,
            launcher.ray_cfg.remote,
            config,
            launcher.task_function,
            Singleton.get_state(),
        )
        self._tasks[task.hex()] = task
        return str(task.hex())

    def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
        """How those of some tasks stand that have not ended; Ray does not say which only wait."""
        asked = [self._tasks[task] for task in tasks]
        _, left = ray.wait(asked, num_returns=len(asked), timeout=0)
        return {task.hex(): "running" for task in left}

    def end_of(self, task: str) -> str:
        """How a task ended, for people."""
        try:
            _ = ray.get(self._tasks[task]).return_value  # raises what the job raised
        except Exception as error:
            return public(first_line(f"{type(error).__name__}: {error}".strip()))
        return "Ray says that it ended well"

    def named(self, name: str) -> Mapping[int, str]:
        """None: they end with the command."""
        return {}

    def leave(self, tasks: Sequence[str]) -> str:
        """Cancel living tasks: they end with this process."""
        for task in tasks:
            ray.cancel(self._tasks[task])
        return f"\n{len(tasks)} tasks of Ray were cancelled."
