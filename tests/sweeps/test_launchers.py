"""Jobs that launchers start are collected to their ends, whatever becomes of the others."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from omegaconf import OmegaConf

from regexp.errors import ConfigError
from regexp.sweeps.launchers import collect as collecting
from regexp.sweeps.launchers import slurm
from regexp.sweeps.launchers.collect import CannotAsk, Standing, collect
from regexp.sweeps.launchers.jobs import Jobs, Task, keep_tasks
from regexp.sweeps.launchers.start import starter
from regexp.sweeps.progress import JobReport, write_report
from regexp.sweeps.time_left import INTERRUPTED, TimeLeft, Work, write_work
from regexp.tracking import Terminated, interruptible
from tests.processes import CONTEXT

Fate = Callable[["Machine", str], bool]
"""What a task does at a look: whether it lives on."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Time that passes as it is waited for."""
    seconds = itertools.count()
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: next(seconds))
    monkeypatch.setattr(collecting, "time", clock)
    return lambda: next(seconds)


def jobs_of(folder: Path, count: int, **others: Any) -> Jobs:
    plans = folder / "plans"
    plans.mkdir(parents=True, exist_ok=True)
    values: dict[str, Any] = {
        "plans": [plans / f"{number}.yaml" for number in range(count)],
        "keys": [f"key {number}" for number in range(count)],
        "records": folder.parent / "launched" / "sweep.json",
        "of": count,
        "metric": None,
        "retries": 2,
        "per_task": 1,
    }
    return Jobs(**(values | others))


class Machine:
    """A cluster in which tasks do what the test says, at each look.

    Attributes:
        submitted: the positions of each task.
        alive: the tasks that have not ended.
        names: under which each task was submitted, and its position there.
        left: those that lived when the command ended.
    """

    name = "Made up"
    outlives = True
    together = 1000

    def __init__(self, jobs: Jobs, fate: Fate) -> None:
        self.jobs = jobs
        self.fate = fate
        self.submitted: list[list[int]] = []
        self.alive: dict[str, list[int]] = {}
        self.names: dict[str, tuple[str, int]] = {}
        self.left: list[str] = []

    def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
        ids = [str(len(self.submitted) + at) for at in range(len(tasks))]
        self.submitted += map(list, tasks)
        self.alive |= dict(zip(ids, map(list, tasks), strict=True))
        self.names |= {task: (name, at) for at, task in enumerate(ids)}
        return ids

    def named(self, name: str) -> Mapping[int, str]:
        found = {task: self.names[task] for task in self.alive}
        return {at: task for task, (given, at) in found.items() if given == name}

    def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
        found: dict[str, Standing] = {}
        for task in tasks:
            if task in self.alive and self.fate(self, task):
                found[task] = "running"
            else:
                self.alive.pop(task, None)
        return found

    def end_of(self, task: str) -> str:
        return "OUT_OF_MEMORY"

    def leave(self, tasks: Sequence[str]) -> str:
        self.left += tasks
        return f"{len(tasks)} tasks go on"

    def begin(self, position: int) -> None:
        self.jobs.plans[position].with_suffix(".begun").touch()

    def end(self, position: int) -> None:
        self.begin(position)
        report = JobReport(position, f"technique {position}", seconds=1.0)
        write_report(report, self.jobs.plans[position].with_suffix(".json"))


def ends_well(machine: Machine, task: str) -> bool:
    for position in machine.alive[task]:
        machine.end(position)
    return True


@pytest.mark.usefixtures("now")
def test_a_dead_task_leaves_the_others_alone_and_its_job_is_given_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fate(machine: Machine, task: str) -> bool:
        if task != "1":
            return ends_well(machine, task)
        machine.begin(1)
        return False

    jobs = jobs_of(tmp_path / "a", 4)
    machine = Machine(jobs, fate)
    collect(machine, jobs)
    assert machine.submitted == [[0], [1], [2], [3], [1]]
    assert not jobs.causes
    assert not jobs.records.exists()
    printed = capsys.readouterr().out
    assert "[2/4] its process died (OUT_OF_MEMORY); it is given again" in printed
    assert [printed.count(f"technique {n}: 1.0 s") for n in range(4)] == [1] * 4


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("begins", [True, False])
def test_a_job_that_always_dies_is_given_so_often_and_no_more(tmp_path: Path, begins: bool) -> None:
    def fate(machine: Machine, task: str) -> bool:
        if machine.alive[task] != [1]:
            return ends_well(machine, task)
        if begins:
            machine.begin(1)
        return False

    jobs = jobs_of(tmp_path / "a", 2)
    machine = Machine(jobs, fate)
    collect(machine, jobs)
    assert machine.submitted == [[0], [1], [1], [1]]
    what = "its process died" if begins else "it never started"
    assert jobs.causes == {1: f"{what}, 3 times in all (OUT_OF_MEMORY)"}


@pytest.mark.usefixtures("now")
def test_of_jobs_that_share_a_task_that_died_the_one_it_was_at_is_given_alone(
    tmp_path: Path,
) -> None:
    def fate(machine: Machine, task: str) -> bool:
        if task != "0":
            return ends_well(machine, task)
        machine.end(0)
        machine.begin(1)
        return False

    jobs = jobs_of(tmp_path / "a", 5, per_task=4)
    machine = Machine(jobs, fate)
    collect(machine, jobs)
    assert machine.submitted == [[0, 1, 2, 3], [4], [2, 3], [1]]
    assert jobs._died == {1: 1}, "the others had not begun"


@pytest.mark.usefixtures("now")
def test_after_an_interruption_the_same_command_waits_for_what_lives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupts(machine: Machine, task: str) -> bool:
        if task == "2":
            machine.alive.pop("1")  # it dies while nobody looks
            raise KeyboardInterrupt
        return True

    jobs = jobs_of(tmp_path / "a", 3)
    machine = Machine(jobs, interrupts)
    with pytest.raises(KeyboardInterrupt):
        collect(machine, jobs)
    assert machine.left == ["0", "1", "2"]
    assert "3 tasks go on" in capsys.readouterr().out

    later = jobs_of(tmp_path / "b", 3, keys=["key 2", "key 1", "key 0"])

    def goes_on(machine: Machine, task: str) -> bool:
        """What the first command gave leaves its reports where that command looked."""
        machine.jobs = jobs if task in ("0", "2") else later
        return next(looks) < 2 or ends_well(machine, task)

    looks = itertools.count()
    machine.fate = goes_on
    collect(machine, later)
    assert machine.submitted == [[0], [1], [2], [1]], "the dead one alone"
    printed = capsys.readouterr().out
    assert "2 jobs of an earlier command on the way; none is given twice" in printed
    assert "[1/3] technique 2" in printed, "under its number of now"
    assert all(later.has_ended(position) for position in range(3))


@pytest.mark.usefixtures("now")
def test_a_command_that_died_before_it_knew_its_tasks_finds_them_again(tmp_path: Path) -> None:
    class Dies(Machine):
        together = 2

        def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
            super().submit(tasks, name)
            if len(self.submitted) == 4:
                raise SystemExit  # the tasks are there, and nobody learns of it
            return list(self.alive)[-len(tasks) :]

    jobs = jobs_of(tmp_path / "a", 5)
    machine = Dies(jobs, lambda *_: True)
    with pytest.raises(SystemExit):
        collect(machine, jobs)
    assert machine.submitted == [[0], [1], [2], [3]]

    def goes_on(machine: Machine, task: str) -> bool:
        machine.jobs = later if task == "4" else jobs
        return ends_well(machine, task)

    later = jobs_of(tmp_path / "b", 5)
    machine.fate = goes_on
    collect(machine, later)
    assert machine.submitted == [[0], [1], [2], [3], [4]], "each once"
    assert all(later.has_ended(position) for position in range(5))


@pytest.mark.usefixtures("now")
class Full(Machine):
    """Takes as many tasks as it has room for, and forgets those whose jobs have ended."""

    room = 3
    asked = 0

    def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
        self.asked += 1
        going = [
            task for task, jobs in self.alive.items() if not all(map(self.jobs.has_ended, jobs))
        ]
        if len(going) + len(tasks) > self.room:
            raise ConfigError("Slurm takes no job: AssocMaxSubmitJobLimit")
        return super().submit(tasks, name)


@pytest.mark.usefixtures("now")
def test_what_the_cluster_has_no_room_for_waits_until_it_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = jobs_of(tmp_path / "a", 11)
    machine = Full(jobs, ends_well)
    collect(machine, jobs)
    assert sorted(machine.submitted) == [[at] for at in range(11)], "each once"
    assert all(jobs.has_ended(at) for at in range(11))
    assert machine.asked < 30
    printed = capsys.readouterr().out
    assert printed.count("AssocMaxSubmitJobLimit. 8 jobs wait here until it takes more.") == 1


def test_a_cluster_that_takes_nothing_at_all_is_an_error(tmp_path: Path) -> None:
    machine = Full(jobs := jobs_of(tmp_path / "a", 4), ends_well)
    machine.room = 0
    with pytest.raises(ConfigError, match="takes no job"):
        collect(machine, jobs)
    assert (machine.submitted, machine.left) == ([], [])


@pytest.mark.usefixtures("now")
def test_tasks_that_were_taken_though_the_answer_was_none_are_not_given_again(
    tmp_path: Path,
) -> None:
    """As where sbatch waits in vain for a busy controller, which has them all the same."""

    class Late(Machine):
        def submit(self, tasks: Sequence[Sequence[int]], name: str) -> list[str]:
            super().submit(tasks, name)
            raise ConfigError("Slurm takes no job: Socket timed out")

        def named(self, name: str) -> Mapping[int, str]:
            self.silent -= 1
            if self.silent > 0:
                raise CannotAsk("Socket timed out")
            return super().named(name)

        silent = 3

    jobs = jobs_of(tmp_path / "a", 3)
    machine = Late(jobs, ends_well)
    collect(machine, jobs)
    assert machine.submitted == [[0], [1], [2]]


@pytest.mark.parametrize("mount", ["", "nfs4"])
def test_a_report_that_shows_late_over_a_network_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, now: Callable[[], int], mount: str
) -> None:
    """A client of NFS sees the files of others up to a minute later."""
    shows_at: list[int] = []

    class Late(Machine):
        def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
            looks_at = now()
            shows_at.append(looks_at + 60)
            if looks_at >= shows_at[0]:
                self.end(0)
            return {}

    monkeypatch.setattr(collecting, "network", lambda file: mount)
    jobs = jobs_of(tmp_path / "a", 1)
    machine = Late(jobs, ends_well)
    collect(machine, jobs)
    assert len(machine.submitted) == (1 if mount else 3), "over and over, until it shows"


@pytest.mark.usefixtures("now")
@pytest.mark.parametrize("answers", [True, False])
def test_jobs_that_end_with_the_command_are_let_record_it(tmp_path: Path, answers: bool) -> None:
    def interrupts(machine: Machine, task: str) -> bool:
        machine.begin(0)
        raise KeyboardInterrupt

    class Ends(Machine):
        outlives = False

        def leave(self, tasks: Sequence[str]) -> str:
            if answers:
                looked.append(self.jobs.is_going(0))
                self.jobs.plans[0].with_suffix(".left").touch()
            return super().leave(tasks)

    looked: list[bool] = []
    jobs = jobs_of(tmp_path / "a", 2)
    with pytest.raises(KeyboardInterrupt):
        collect(Ends(jobs, interrupts), jobs)
    assert looked == [True] * answers
    assert jobs.is_going(0) is not answers, "it is waited for a while, and no longer"
    assert not jobs.records.exists()


@pytest.mark.usefixtures("now")
def test_while_the_cluster_does_not_answer_its_jobs_are_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = itertools.count()

    def fate(machine: Machine, task: str) -> bool:
        if next(looks) < 5:
            raise CannotAsk("Unable to contact slurm controller")
        return ends_well(machine, task)

    jobs = jobs_of(tmp_path / "a", 1)
    machine = Machine(jobs, fate)
    collect(machine, jobs)
    assert machine.submitted == [[0]]
    assert capsys.readouterr().out.count("does not answer (Unable to contact") == 1


@pytest.mark.usefixtures("now")
def test_a_command_that_is_given_while_the_cluster_does_not_answer_waits_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Silent(Machine):
        def living(self, tasks: Sequence[str]) -> Mapping[str, Standing]:
            if next(looks) < 3:
                raise CannotAsk("Unable to contact slurm controller")
            return super().living(tasks)

    looks = itertools.count()
    jobs = jobs_of(tmp_path / "a", 1)
    keep_tasks(jobs, "Made up", [Task("0", {0: jobs.plans[0]})])
    machine = Silent(jobs, ends_well)
    machine.alive["0"] = [0]
    collect(machine, jobs)
    assert machine.submitted == []
    assert capsys.readouterr().out.count("does not answer (Unable to contact") == 1


@pytest.mark.parametrize(
    ("told", "largest"),
    [
        ("MaxArraySize            = 20001", 20001),
        ("MaxArraySize = 0", 1),
        ("slurm_load_ctl_conf error", 1001),
        (None, 1001),
    ],
)
def test_how_many_tasks_an_array_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, largest: int
) -> None:
    """Also where there are to be no arrays, and where Slurm's command tells nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if told is not None:
        command = tmp_path / "scontrol"
        command.write_text(f"#!/bin/sh\necho '{told}'\n")
        command.chmod(0o700)
    assert slurm.largest_array() == largest


class Pool:
    """A launcher of this machine whose processes all die when one does, as joblib's.

    Attributes:
        launched: the positions of the jobs of each launch.
    """

    def __init__(self, jobs: Jobs, kills: Callable[[int, int], bool]) -> None:
        self.config = OmegaConf.create({"hydra": {"sweeper": {}}})
        self.launched: list[list[int]] = []
        self._jobs = jobs
        self._kills = kills
        self._tries: dict[int, int] = {}

    def launch(self, overrides: Sequence[list[str]], initial_job_idx: int) -> list[Any]:
        batch = [int(one) for [one] in overrides]
        assert batch[0] == initial_job_idx
        self.launched.append(batch)
        machine = Machine(self._jobs, ends_well)
        for pair in (batch[at : at + 2] for at in range(0, len(batch), 2)):
            for position in pair:
                machine.begin(position)
                self._tries[position] = self._tries.get(position, 0) + 1
            if any(self._kills(position, self._tries[position]) for position in pair):
                raise RuntimeError("a worker was terminated\nor so")
            for position in pair:
                machine.end(position)
        return [SimpleNamespace(return_value=0.0)] * len(batch)


def run(jobs: Jobs, kills: Callable[[int, int], bool]) -> Pool:
    pool = Pool(jobs, kills)
    starter(jobs)(pool, [[str(position)] for position in range(len(jobs.plans))])  # type: ignore[arg-type]
    return pool


@pytest.mark.parametrize(("until", "alone"), [(1, [[2], [3]]), (9, [[2], [3], [2]])])
def test_a_pool_that_broke_is_made_again_and_who_may_have_broken_it_is_alone(
    tmp_path: Path, until: int, alone: list[list[int]]
) -> None:
    jobs = jobs_of(tmp_path, 7)
    pool = run(jobs, lambda position, tries: position == 2 and tries <= until)
    assert pool.launched == [[0, 1, 2, 3, 4, 5, 6], [4, 5, 6], *alone]
    died = {2: "its process died, 3 times in all (RuntimeError: a worker was terminated)"}
    assert jobs.causes == (died if until == 9 else {})
    assert {n for n in range(7) if jobs.has_ended(n)} == set(range(7)) - set(jobs.causes)


def train(plan: Path, began: Connection) -> None:
    """Begin a job, and record when it is asked to end: what workers do."""
    TimeLeft(plan.parent).begin(int(plan.stem))
    try:
        with interruptible():
            began.send("begun")
            while True:
                signal.pause()
    except Terminated:
        plan.with_suffix(".left").touch()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_jobs_record_that_they_end_before_their_processes_are_killed(
    tmp_path: Path, number: signal.Signals
) -> None:
    jobs = jobs_of(tmp_path, 3)
    write_work(tmp_path / "plans", [Work(1, 1, 1.0, "iris")] * 3)

    class Workers(Pool):
        def launch(self, overrides: Sequence[list[str]], initial_job_idx: int) -> list[Any]:
            reader, writer = CONTEXT.Pipe(duplex=False)
            workers = [
                CONTEXT.Process(target=train, args=(plan, writer), daemon=True)
                for plan in jobs.plans[:2]  # the third waits for one of them
            ]
            for worker in workers:
                worker.start()
            try:
                assert [reader.recv() for _ in workers] == ["begun"] * 2
                os.kill(os.getpid(), number)
            except BaseException:
                for worker in workers:
                    worker.kill()
                raise
            return []

    with pytest.raises((Terminated, KeyboardInterrupt)), interruptible():
        starter(jobs)(Workers(jobs, lambda *_: False), [["0"], ["1"], ["2"]])  # type: ignore[arg-type]
    assert [jobs.has_begun(position) for position in range(3)] == [True, True, False]
    assert not any(jobs.is_going(position) for position in range(3))
    assert (tmp_path / "plans" / INTERRUPTED).exists()


def test_a_launcher_that_starts_nothing_is_not_tried_again(tmp_path: Path) -> None:
    class Broken(Pool):
        def launch(self, overrides: Sequence[list[str]], initial_job_idx: int) -> list[Any]:
            raise OSError("no such folder")

    jobs = jobs_of(tmp_path, 2)
    with pytest.raises(OSError, match="no such folder"):
        starter(jobs)(Broken(jobs, lambda *_: False), [["0"], ["1"]])  # type: ignore[arg-type]
