"""The jobs of a sweep as those who launch them see them: by the files that they leave."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from regexp.addresses import public
from regexp.errors import count
from regexp.sweeps import progress
from regexp.sweeps.progress import JobReport, say
from regexp.sweeps.time_left import BEGUN, INTERRUPTED, LEFT

Named = Callable[[str], Mapping[int, str]]
"""See `regexp.sweeps.launchers.collect.Cluster.named`."""


@dataclass
class Jobs:
    """The jobs of a sweep that are launched together, by their positions.

    Attributes:
        plans: the file of each job, beside which it leaves a mark when it begins and a report when
            it has ended.
        keys: which runs each trains, for another command that trains the same ones.
        records: the file that tells another command which jobs are on their way.
        of: how many jobs the sweep has.
        metric: `compare.metric`.
        retries: `launch.retries`.
        per_task: `launch.jobs_per_task`.
        causes: why a job left no report, by the number in its plan's name; filled in.
    """

    plans: Sequence[Path]
    keys: Sequence[str]
    records: Path
    of: int
    metric: str | None
    retries: int
    per_task: int
    causes: dict[int, str] = field(default_factory=dict)
    _died: dict[int, int] = field(default_factory=dict, init=False)

    def number(self, position: int) -> int:
        """The job's number in the sweep."""
        return int(self.plans[position].stem)

    def has_ended(self, position: int) -> bool:
        """Whether the job has left its report."""
        return self.plans[position].with_suffix(".json").exists()

    def has_begun(self, position: int) -> bool:
        """Whether the job has left a mark that it trains."""
        return self.plans[position].with_suffix(BEGUN).exists()

    def is_going(self, position: int) -> bool:
        """Whether the job has begun, and neither ended nor recorded that it was interrupted."""
        left = self.plans[position].with_suffix(LEFT).exists()
        return self.has_begun(position) and not left and not self.has_ended(position)

    def begin_no_more(self) -> None:
        """Leave a mark for processes that are given further jobs."""
        self.plans[0].with_name(INTERRUPTED).touch()

    def process(self, position: int) -> int | None:
        """The id of the process, on whatever machine, in which the job has begun."""
        try:
            text = self.plans[position].with_suffix(BEGUN).read_text()
        except OSError:
            return None
        return int(text) if text.isdecimal() else None

    def again(self, positions: Iterable[int], cause: str) -> list[int]:
        """Those of some jobs that died which are to be given again; why the others are not is kept.

        Args:
            positions: of jobs without a report.
            cause: of their death, for people.
        """
        given = []
        for position in positions:
            self._died[position] = died = self._died.get(position, 0) + 1
            what = "its process died" if self.has_begun(position) else "it never started"
            for mark in (BEGUN, LEFT):
                self.plans[position].with_suffix(mark).unlink(missing_ok=True)
            if died <= self.retries:
                given.append(position)
                said = f"{what} ({cause}); it is given again"
            else:
                times = f", {count(died, 'time')} in all" if died > 1 else ""
                self.causes[self.number(position)] = said = f"{what}{times} ({cause})"
            say(f"[{self.number(position) + 1}/{self.of}] {said}")
        return given

    def tell(self, position: int) -> None:
        """Say what became of a job that has ended in another terminal."""
        report = self._report(self.plans[position])
        became = progress.result_line(report, self.metric)
        say(f"[{report.number + 1}/{self.of}] {report.name}: {public(became)}")

    def take(self, position: int, plan: Path) -> bool:
        """Take over the report of a job that another command launched, if it is there.

        Args:
            position: of the job that trains the same runs.
            plan: its file as that command wrote it.
        """
        if plan == self.plans[position]:
            return self.has_ended(position)
        if not plan.with_suffix(".json").exists():
            if plan.with_suffix(BEGUN).exists():
                self.plans[position].with_suffix(BEGUN).touch()
            return False
        report = self._report(plan)
        report.number = self.number(position)
        progress.write_report(report, self.plans[position].with_suffix(".json"))
        return True

    def _report(self, plan: Path) -> JobReport:
        return JobReport(**json.loads(plan.with_suffix(".json").read_text()))


@dataclass(frozen=True)
class Task:
    """What a cluster starts as one process: jobs that run one after another in it.

    Attributes:
        id: that the cluster gave it.
        jobs: position of each -> the plan that it was given, perhaps of an earlier command.
    """

    id: str
    jobs: dict[int, Path]


def keep_tasks(jobs: Jobs, cluster: str, tasks: Iterable[Task], name: str = "") -> None:
    """Keep which tasks are on their way, for a command that is given when this one has died.

    Args:
        jobs: theirs.
        cluster: the name of that which runs them.
        tasks: those that are on their way, and those that are submitted next, whose ids are made up
            of `name` and their positions among them.
        name: under which those are submitted.
    """
    told = [
        {"id": task.id, "jobs": {jobs.keys[at]: str(plan) for at, plan in task.jobs.items()}}
        for task in tasks
    ]
    jobs.records.parent.mkdir(parents=True, exist_ok=True)
    part = jobs.records.with_suffix(".part")
    part.write_text(json.dumps({"cluster": cluster, "tasks": told, "name": name}, indent=1))
    part.replace(jobs.records)


def kept_tasks(jobs: Jobs, cluster: str, named: Named) -> list[Task]:
    """The tasks that `keep_tasks` kept of an earlier command, with the jobs that are wanted now.

    Args:
        jobs: that are wanted.
        cluster: the name of that which runs them.
        named: tells which living tasks were submitted under a name, if the command died before it
            could keep their ids.
    """
    try:
        content = json.loads(jobs.records.read_text())
    except (OSError, ValueError):
        return []
    if content["cluster"] != cluster:
        return []
    at = {key: position for position, key in enumerate(jobs.keys)}
    name = content.get("name", "")
    ids = {f"{name} {at}": task for at, task in named(name).items()} if name else {}
    tasks = [
        Task(
            ids.get(one["id"], one["id"]),
            {at[key]: Path(plan) for key, plan in one["jobs"].items() if key in at},
        )
        for one in content["tasks"]
    ]
    return [task for task in tasks if task.jobs]
