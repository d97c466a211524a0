"""The jobs of a sweep on a cluster, from their submission to their ends.

A job has ended when its report is there. A task of the cluster that is gone while a job of it has
left no report has died, and its jobs are given again. Tasks outlive the command where the cluster
lets them: given again, it waits for those that are on their way, and submits none of them twice.
"""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from regexp.errors import ConfigError, count
from regexp.sweeps.launchers.jobs import Jobs, Task, keep_tasks, kept_tasks
from regexp.sweeps.progress import say
from regexp.sweeps.time_left import TimeLeft
from regexp.tracking.mounts import network

Standing = Literal["waiting", "running"]

LONGEST = 15.0
"""Seconds between two questions to the cluster, at most."""

GRACE = 30.0
"""Seconds for jobs that end with the command to record so, at most."""

_BETWEEN = 10.0  # seconds between two lines on how many jobs wait and run
_LOOKS = 2  # at which a task has to be gone: its report may come between a look and the question
_REFUSED = 30.0  # seconds after which a cluster that took no more is asked to again
_NETWORK = 70.0  # seconds: over a network, files of others show late; of NFS after 60 at the latest


Answer = TypeVar("Answer")


class CannotAsk(Exception):  # noqa: N818, it is no error of the user's
    """The cluster does not answer, so that nothing is known of its tasks."""


class Cluster(Protocol):
    """What starts tasks on other machines.

    Attributes:
        name: for people.
        outlives: whether its tasks outlive this process, and hold several jobs.
        together: how many tasks are submitted together, at most.
    """

    name: str
    outlives: bool

    @property
    def together(self) -> int: ...

    def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
        """Start tasks, each of jobs by their positions; the id of each.

        Args:
            tasks: at most `together`.
            name: by which they are found, where this process dies before it knows their ids.

        Raises:
            ConfigError: it takes none of them, for now or for good.
        """

    def named(self, name: str) -> Mapping[int, str]:
        """Position -> id, of the living tasks that were submitted under a name.

        Raises:
            CannotAsk: nobody can tell now.
        """

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
        self._queue: list[Sequence[int]] = []  # tasks that are not submitted yet
        self._at_once = 0  # how many of them the cluster may take together
        self._takes = False  # whether it has taken any
        self._refused_at = 0.0
        self._full = False
        self._left: set[int] = set(range(len(jobs.plans)))
        self._gone: dict[str, tuple[int, float]] = {}  # task -> at how many looks, and since when
        self._late = _NETWORK if jobs.plans and network(jobs.plans[0]) else 0.0
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
            while self._tasks or self._queue:
                self._look()
                if self._queue and time.monotonic() - self._refused_at >= _REFUSED:
                    self._send()
                if self._tasks or self._queue:
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

        def on_the_way() -> dict[str, Task]:
            kept = kept_tasks(self._jobs, self._cluster.name, self._cluster.named)
            living = self._cluster.living([task.id for task in kept]) if kept else {}
            return {task.id: task for task in kept if task.id in living}

        self._tasks = self._patiently(on_the_way)
        self._takes = bool(self._tasks)
        if self._tasks:
            of = count(sum(len(task.jobs) for task in self._tasks.values()), "job")
            say(f"{self._cluster.name}: {of} of an earlier command on the way; none is given twice")

    def _submit(self, tasks: Sequence[Sequence[int]]) -> None:
        self._queue += tasks
        self._at_once = self._cluster.together
        self._send()

    def _send(self) -> None:
        """Submit what waits here: what the cluster refuses, as it has limits, is tried in halves.

        Raises:
            ConfigError: it has never taken a task of this sweep.
        """
        while self._queue:
            part = self._queue[: self._at_once]
            try:
                self._submit_together(part)
            except ConfigError as error:
                self._at_once = len(part) // 2
                if self._at_once:
                    continue
                self._at_once, self._refused_at = 1, time.monotonic()
                if not self._takes:
                    raise
                self._tell_full(error)
                return
            self._at_once = min(2 * self._at_once, self._cluster.together)
            self._queue = self._queue[len(part) :]
            self._pause, self._told = 1.0, None
        self._full = False

    def _submit_together(self, tasks: Sequence[Sequence[int]]) -> None:
        """Submit tasks at once, which are kept before and after."""
        name = uuid.uuid4().hex
        new = [{at: self._jobs.plans[at] for at in positions} for positions in tasks]
        self._keep([Task(f"{name} {at}", jobs) for at, jobs in enumerate(new)], name)
        try:
            ids = self._cluster.submit(tasks, name)
        except ConfigError:
            # Where only the answer was late, it has taken them.
            found = self._patiently(lambda: self._cluster.named(name))
            if len(found) < len(tasks):
                self._keep()
                raise
            ids = [found[at] for at in range(len(tasks))]
        self._takes = True
        self._tasks |= {task: Task(task, jobs) for task, jobs in zip(ids, new, strict=True)}
        self._keep()

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """What the cluster answers, sooner or later."""
        while True:
            try:
                answer = ask()
            except CannotAsk as error:
                self._tell_silent(error)
                time.sleep(LONGEST)
            else:
                self._silent = False
                return answer

    def _keep(self, new: Sequence[Task] = (), name: str = "") -> None:
        if self._cluster.outlives:
            keep_tasks(self._jobs, self._cluster.name, [*self._tasks.values(), *new], name)

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
            self._tell_silent(error)
            return
        finally:
            self._asked_at = time.monotonic()
            self._pause = min(2 * self._pause, LONGEST)
        self._silent = False
        dead = []
        for name in self._tasks:
            if name in living:
                self._gone.pop(name, None)
                continue
            looks, since = self._gone.get(name, (0, self._asked_at))
            self._gone[name] = looks + 1, since
            if looks + 1 >= _LOOKS and self._asked_at - since >= self._late:
                dead.append(name)
            elif looks + 1 < _LOOKS:
                self._pause = 1.0
        self._tell(living)
        for name in dead:
            self._bury(self._tasks[name])

    def _tell_silent(self, error: CannotAsk) -> None:
        """Say that the cluster does not answer, once until it does."""
        if not self._silent:
            say(f"{self._cluster.name} does not answer ({error}); its jobs are waited for.")
        self._silent = True

    def _tell_full(self, error: ConfigError) -> None:
        """Say that the cluster takes no more for now, once until it has taken all."""
        if not self._full:
            jobs = count(sum(map(len, self._queue)), "job")
            say(f"{error}. {jobs} wait here until it takes more.")
        self._full = True

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
