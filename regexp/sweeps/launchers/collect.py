"""The jobs of a sweep on a cluster, from their submission to their ends.

A job has ended when its report is there. A task of the cluster that is gone while a job of it has
left no report has died, and its jobs are given again. Tasks outlive the command where the cluster
lets them: given again, it waits for those that are on their way, and submits none of them twice.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from regexp.errors import count
from regexp.sweeps.launchers.jobs import Jobs, Task, keep_tasks, kept_tasks
from regexp.sweeps.progress import say
from regexp.sweeps.time_left import TimeLeft

Standing = Literal["waiting", "running"]

LONGEST = 15.0
"""Seconds between two questions to the cluster, at most."""

GRACE = 30.0
"""Seconds for jobs that end with the command to record so, at most."""

_BETWEEN = 10.0  # seconds between two lines on how many jobs wait and run
_LOOKS = 2  # at which a task has to be gone: the file system may show its reports a little later


class CannotAsk(Exception):  # noqa: N818, it is no error of the user's
    """The cluster does not answer, so that nothing is known of its tasks."""


class Cluster(Protocol):
    """What starts tasks on other machines.

    Attributes:
        name: for people.
        outlives: whether its tasks outlive this process, and hold several jobs.
    """

    name: str
    outlives: bool

    def submit(self, tasks: Sequence[Sequence[int]]) -> list[str]:
        """Start tasks, each of jobs by their positions; the id of each."""

    def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
        """How those of some tasks stand that have not ended.

        Raises:
            CannotAsk: nobody can tell now.
        """

    def end_of(self, task: str) -> str:
        """How a task ended, for people, as far as it is known."""

    def leave(self, tasks: Sequence[str]) -> str:
        """What becomes of living tasks when this process ends now, for people; it may end them."""


def collect(cluster: Cluster, jobs: Jobs) -> None:
    """Have all jobs run that have something to train, and wait for their ends."""
    _Collection(cluster, jobs).run()


class _Collection:
    """Tasks on their way.

    Args:
        cluster: that starts them.
        jobs: theirs.
    """

    def __init__(self, cluster: Cluster, jobs: Jobs) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._tasks: dict[str, Task] = {}
        self._left: set[int] = set(range(len(jobs.plans))) - jobs.idle
        self._gone: dict[str, int] = {}  # at how many looks a task was
        self._rest = TimeLeft(jobs.plans[0].parent) if jobs.plans else None
        self._told: tuple[int, int] | None = None
        self._told_at = self._asked_at = -LONGEST
        self._pause = 1.0
        self._silent = False

    def run(self) -> None:
        try:
            self._attach()
            attached = {position for task in self._tasks.values() for position in task.jobs}
            new = sorted(self._left - attached)
            size = self._jobs.per_task if self._cluster.outlives else 1
            self._submit([new[at : at + size] for at in range(0, len(new), size)])
            while self._tasks:
                self._look()
                if self._tasks:
                    time.sleep(1.0)
        except BaseException:
            if self._tasks:
                say(self._cluster.leave(list(self._tasks)))
            if not self._cluster.outlives:
                self._let_end()
            raise
        self._jobs.records.unlink(missing_ok=True)

    def _let_end(self) -> None:
        """Give jobs that were asked to end the time to record that they were interrupted."""
        until = time.monotonic() + GRACE
        while any(map(self._jobs.is_going, self._left)) and time.monotonic() < until:
            time.sleep(0.2)

    def _attach(self) -> None:
        """Take over the tasks that an earlier command left on their way."""
        if not (self._left and self._cluster.outlives):
            return
        kept = kept_tasks(self._jobs, self._cluster.name)
        living = self._cluster.living([task.id for task in kept]) if kept else {}
        self._tasks = {task.id: task for task in kept if task.id in living}
        if self._tasks:
            of = count(sum(len(task.jobs) for task in self._tasks.values()), "job")
            say(f"{self._cluster.name}: {of} of an earlier command on the way; none is given twice")

    def _submit(self, tasks: Sequence[Sequence[int]]) -> None:
        if not tasks:
            return
        for task, positions in zip(self._cluster.submit(tasks), tasks, strict=True):
            self._tasks[task] = Task(task, {at: self._jobs.plans[at] for at in positions})
        self._keep()
        self._pause, self._told = 1.0, None

    def _keep(self) -> None:
        if self._cluster.outlives:
            keep_tasks(self._jobs, self._cluster.name, self._tasks.values())

    def _is_done(self, position: int, plan: Path) -> bool:
        """Whether a job has left its report, which is told once."""
        if position in self._left and self._jobs.take(position, plan):
            self._left.discard(position)
            self._jobs.tell(position)
        return position not in self._left

    def _look(self) -> None:
        """See which jobs have ended, and which tasks without a word."""
        for task in list(self._tasks.values()):
            ended = [self._is_done(at, plan) for at, plan in task.jobs.items()]
            if all(ended):
                del self._tasks[task.id]
        if time.monotonic() - self._asked_at < self._pause or not self._tasks:
            return
        try:
            living = self._cluster.living(list(self._tasks))
        except CannotAsk as error:
            if not self._silent:
                say(f"{self._cluster.name} does not answer ({error}); its jobs are waited for.")
            self._silent = True
            return
        finally:
            self._asked_at = time.monotonic()
            self._pause = min(2 * self._pause, LONGEST)
        self._silent = False
        dead = []
        for name in self._tasks:
            self._gone[name] = 0 if name in living else self._gone.get(name, 0) + 1
            if self._gone[name] >= _LOOKS:
                dead.append(name)
            elif self._gone[name]:
                self._pause = 1.0
        self._tell(living)
        for name in dead:
            self._bury(self._tasks[name])

    def _bury(self, task: Task) -> None:
        """Give the jobs of a task again that has died: the one that it was at, and the others."""
        del self._tasks[task.id]
        lost = [at for at, plan in task.jobs.items() if not self._is_done(at, plan)]
        begun = [at for at in lost if self._jobs.has_begun(at)] or lost
        again = self._jobs.again(begun, self._cluster.end_of(task.id))
        self._left -= set(begun) - set(again)
        others = [at for at in lost if at not in begun]
        self._submit([one for one in (others, *([at] for at in again)) if one])
        self._keep()

    def _tell(self, living: Mapping[str, Standing]) -> None:
        """Say how many jobs wait and run, when that has changed."""
        waiting = running = 0
        for name, standing in living.items():
            left = [at for at in self._tasks[name].jobs if at in self._left]
            runs = min(len(left), 1) if standing == "running" else 0
            running, waiting = running + runs, waiting + len(left) - runs
        now = time.monotonic()
        if (waiting, running) != self._told and now - self._told_at >= _BETWEEN:
            self._told, self._told_at = (waiting, running), now
            rest = self._rest.end() if self._rest else ""
            say(f"{self._cluster.name}: {count(running, 'job')} running, {waiting} waiting{rest}")
