"""Which way a launcher's jobs are started; the launchers of one machine return when all ended."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from hydra.plugins.launcher import Launcher

from regexp.addresses import public
from regexp.config.launching import Start
from regexp.errors import kind_and_reason
from regexp.sweeps.launchers.collect import Cluster, collect
from regexp.sweeps.launchers.jobs import Jobs
from regexp.tracking.signals import GRACE, before_ending


def starter(jobs: Jobs) -> Start:
    """Has the jobs of a sweep run by whatever launcher, those again whose process died."""

    def start(launcher: Launcher, overrides: Sequence[list[str]]) -> None:
        cluster: Cluster
        kind = type(launcher)
        match kind.__module__.split(".")[:2], kind.__name__:
            case [_, "hydra_submitit_launcher"], "SlurmLauncher":
                from regexp.sweeps.launchers.by_submitit import Slurm

                cluster = Slurm(launcher, overrides)
            case [_, "hydra_submitit_launcher"], "LocalLauncher":
                from regexp.sweeps.launchers.by_submitit import Local

                cluster = Local(launcher, overrides)
            case [_, "hydra_ray_launcher"], "RayLauncher":
                from regexp.sweeps.launchers.by_ray import Ray

                cluster = Ray(launcher, overrides)
            case _:
                _wait(launcher, overrides, jobs)
                return
        collect(cluster, jobs)

    return start


def _wait(launcher: Any, overrides: Sequence[list[str]], jobs: Jobs) -> None:
    """Give jobs to a launcher that returns when all have ended, or raises when a process died.

    Its other jobs then died as well, or never began. Which had begun is known, and not which of
    them died by itself: each of these is given again alone, after those that had not begun.

    Raises:
        Exception: what the launcher raised before any job began.
    """
    size = launcher.config.hydra.sweeper.get("max_batch_size") or len(overrides)
    together, alone = deque(range(len(overrides))), deque[int]()
    while together or alone:
        by_itself = not together
        if together:
            batch = [together.popleft() for _ in range(min(size, len(together)))]
        else:
            batch = [alone.popleft()]
        try:
            given = [overrides[position] for position in batch]
            with before_ending(partial(_interrupt, jobs, batch)):
                for result in launcher.launch(given, initial_job_idx=batch[0]):
                    _ = result.return_value  # raises what the job raised
        except Exception as error:
            lost = [position for position in batch if not jobs.has_ended(position)]
            begun = [position for position in lost if jobs.has_begun(position)]
            if not begun and not by_itself:
                raise
            begun = begun or lost
            together.extendleft(reversed([one for one in lost if one not in begun]))
            alone += jobs.again(begun, public(kind_and_reason(error)))


def _interrupt(jobs: Jobs, batch: Sequence[int]) -> None:
    """Let the jobs that processes of this one train record how far they are.

    joblib kills its processes when it hears of an interruption. `GRACE` seconds are let pass at
    most.
    """
    with suppress(OSError):  # of a full disk
        jobs.begin_no_more()
    asked: set[int] = set()
    until = time.monotonic() + GRACE
    while time.monotonic() < until:
        children = {child.pid for child in multiprocessing.active_children()}
        begun = {at: jobs.process(at) for at in batch if jobs.is_going(at)}
        going = {at: process for at, process in begun.items() if process in children}
        if not going:
            return
        for at, process in going.items():
            if process is not None and at not in asked:
                with suppress(OSError):  # it has just ended
                    os.kill(process, signal.SIGTERM)
        asked |= going.keys()
        time.sleep(0.05)
