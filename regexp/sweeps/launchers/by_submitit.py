"""Jobs as tasks of Slurm, or processes of this machine, started by submitit as Hydra does."""

import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar

import psutil
import submitit
from hydra.core.singleton import Singleton
from hydra_plugins.hydra_submitit_launcher.config import BaseQueueConf
from omegaconf import OmegaConf

from regexp.config import plan_file
from regexp.errors import ConfigError
from regexp.sweeps.launchers import slurm
from regexp.sweeps.launchers.collect import Standing

_OF_EXECUTOR = ("submitit_folder", "slurm_max_num_timeout")


class Submitit:
    """What `regexp.sweeps.launchers.collect.Cluster` has alike by submitit.

    Args:
        launcher: Hydra's, set up.
        overrides: of each job.

    Attributes:
        executor: the kind of submitit's, by which its parameters are named.
    """

    executor: ClassVar[str]

    def __init__(self, launcher: Any, overrides: Sequence[list[str]]) -> None:
        self._launcher = launcher
        self._overrides = overrides
        self._submitted: dict[str, Any] = {}
        base = set(OmegaConf.structured(BaseQueueConf).keys())
        named = {
            name if name in base else f"{self.executor}_{name}": value
            for name, value in launcher.params.items()
        }
        first = {name: named.pop(name) for name in _OF_EXECUTOR if name in named}
        try:
            folder = first.pop("submitit_folder")
            self._executor = submitit.AutoExecutor(folder=folder, cluster=self.executor, **first)
            self._executor.update_parameters(**named)
        except RuntimeError as error:  # there is no srun
            raise ConfigError(
                f"hydra/launcher={self.executor}: there are no commands of Slurm on this machine; "
                "give the command where sbatch and srun are, or hydra/launcher=joblib"
            ) from error

    @property
    def together(self) -> int:
        """How many tasks are submitted together, at most."""
        return 1000

    def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
        """Start tasks, each of jobs by their positions; the id of each."""
        state = Singleton.get_state()
        given = [[(position, self._overrides[position]) for position in task] for task in tasks]
        try:
            jobs = self._executor.map_array(SubmittedTask(self._launcher, state), given)
        except submitit.core.utils.FailedJobError as error:  # of sbatch
            raise ConfigError(f"Slurm takes no job: {error}") from error
        self._submitted |= {job.job_id: job for job in jobs}
        return [job.job_id for job in jobs]

    def _log_of(self, task: str) -> str:
        """Where a task of this process wrote what it said."""
        return f"; its log: {self._submitted[task].paths.stdout}" if task in self._submitted else ""


class Local(Submitit):
    """Processes of this machine."""

    name = "submitit"
    executor = "local"
    outlives = False

    def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
        """How those of some tasks stand that have not ended."""
        return {task: "running" for task in tasks if not self._submitted[task].done()}

    def end_of(self, task: str) -> str:
        """How a task ended, for people."""
        return f"process {task}{self._log_of(task)}"

    def named(self, name: str) -> Mapping[int, str]:
        """None: they end with the command."""
        return {}

    def leave(self, tasks: Sequence[str]) -> str:
        """Interrupt living tasks: past submitit, which would kill them a second later."""
        for task in tasks:
            with suppress(psutil.Error):
                processes = psutil.Process(int(task)).children()
                for process in processes:
                    process.send_signal(signal.SIGINT)
                if not processes:  # it has not begun
                    self._submitted[task].cancel()

        return f"\n{len(tasks)} processes were interrupted."


class Slurm(Submitit):
    """Tasks of a Slurm array."""

    name = "Slurm"
    executor = "slurm"
    outlives = True

    def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
        """Start tasks as an array, each of jobs by their positions; the id of each."""
        given = self._launcher.params.get("comment")
        comment = f"{given} {name}" if given else name
        self._executor.update_parameters(slurm_comment=comment)
        return super().submit(tasks, name)

    def named(self, name: str) -> Mapping[int, str]:
        """Position -> id, of the living tasks that were submitted under a name."""
        found = [task for task, comment in slurm.queue("%k") if comment.endswith(name)]
        return {int(task.partition("_")[2] or 0): task for task in found}

    def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
        """How those of some tasks stand that have not ended."""
        standing = dict(slurm.queue("%T"))
        return {
            task: "waiting" if standing[task] == "PENDING" else "running"
            for task in tasks
            if task in standing
        }

    @cached_property
    def together(self) -> int:
        """How many tasks an array may have."""
        return slurm.largest_array()

    def end_of(self, task: str) -> str:
        """How a task ended, for people, as far as it is known."""
        return f"Slurm job {task}: {slurm.end_of(task)}{self._log_of(task)}"

    def leave(self, tasks: Sequence[str]) -> str:
        """Living tasks go on without this process."""
        return (
            f"\n{len(tasks)} tasks go on in Slurm ({', '.join(tasks)}): the same command waits for "
            f"them again, and `scancel {' '.join(slurm.arrays(tasks))}` ends them."
        )


class SubmittedTask:
    """What a task calls: its jobs, one after another.

    Args:
        launcher: Hydra's.
        state: of Hydra's singletons, where the command runs.
    """

    def __init__(self, launcher: Any, state: Any) -> None:
        self._launcher = launcher
        self._state = state

    def __call__(self, jobs: Sequence[tuple[int, list[str]]]) -> None:
        """Run jobs, given by position and overrides, but those that have ended before a requeue."""
        for position, overrides in jobs:
            plan = plan_file.path_in(overrides)
            if plan is None or not plan.with_suffix(".json").exists():
                ended = self._launcher(
                    overrides, "hydra.sweep.dir", position, f"job_{position}", self._state
                )
                _ = ended.return_value  # raises what the job raised, for the task's log

    def checkpoint(self, *jobs: Any) -> Any:
        """What submitit starts when the task is requeued: the same, which goes on by itself."""
        return submitit.helpers.DelayedSubmission(self, *jobs)
