"""How long the rest of a sweep may take, against calculations by hand and a clock that is set."""

from pathlib import Path
from typing import Any

import pytest

from regexp.commands.arguments import parse
from regexp.config.jobs import compose
from regexp.sweeps.plan import plan_all
from regexp.sweeps.progress import JobReport, write_report
from regexp.sweeps.time_left import TimeLeft, Work, duration, write_work
from tests.sandbox import Sandbox

TEN = Work(runs=10, epochs=1000, amount=5000.0, kind="digits mlp")


class Clock:
    """Stands still until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def finish(folder: Path, job: int, seconds: float, *, before: bool = False) -> None:
    """Leave the report of a job, as any process does."""
    outcome = {"name": "l1", "status": "FINISHED", "metrics": {}, "before": before}
    report = JobReport(job, "l1", outcomes=[outcome], seconds=seconds)
    write_report(report, folder / f"{job}.json")


def rest_of(folder: Path, *works: Work, clock: Clock | None = None) -> TimeLeft:
    write_work(folder, works)
    return TimeLeft(folder, clock or Clock())


def test_the_rest_takes_what_its_work_took_so_far(tmp_path: Path) -> None:
    """200 s of work 5000 leave 3 jobs of it: 600 s."""
    rest = rest_of(tmp_path, TEN, TEN, TEN, TEN)
    rest.begin(0)
    finish(tmp_path, 0, 200.0)
    assert rest.end() == " · 10 of 40 runs · about 10 min left"
    rest.begin(1)
    finish(tmp_path, 1, 400.0)  # 600 s for 10,000: 300 s a job
    assert rest.end() == " · 20 of 40 runs · about 10 min left"


def test_jobs_count_by_their_work_not_by_their_number(tmp_path: Path) -> None:
    small = Work(5, 100, 500.0, TEN.kind)
    rest = rest_of(tmp_path, small, TEN)
    rest.begin(0)
    finish(tmp_path, 0, 30.0)
    assert rest.end() == " · 5 of 15 runs · about 5 min left"


def test_every_kind_has_its_own_pace(tmp_path: Path) -> None:
    """A network that takes ten times as long is not taken for the quick one, once it is known."""
    slow = Work(10, 1000, 5000.0, "digits cnn")
    rest = rest_of(tmp_path, TEN, slow, TEN, slow)
    rest.begin(0)
    finish(tmp_path, 0, 60.0)
    assert rest.end().endswith("about 3 min left"), "the other kind is not known: 3 * 60 s"
    rest.begin(1)
    finish(tmp_path, 1, 600.0)
    assert rest.end().endswith("about 11 min left"), "60 s + 600 s"


def test_what_was_finished_before_is_done_and_tells_nothing_of_time(tmp_path: Path) -> None:
    rest = rest_of(tmp_path, TEN, TEN, TEN)
    rest.begin(0)
    finish(tmp_path, 0, 0.01, before=True)
    assert rest.end() == "", "nothing has trained yet"
    rest.begin(1)
    finish(tmp_path, 1, 120.0)
    assert rest.end() == " · 20 of 30 runs · about 2 min left"


def test_jobs_side_by_side_share_the_rest(tmp_path: Path) -> None:
    """Of eight jobs, three others train and one other has ended; four train at once."""
    mine = rest_of(tmp_path, *[TEN] * 8)
    mine.begin(0)
    for job in (1, 2, 3, 4):
        TimeLeft(tmp_path, Clock()).begin(job)  # in other processes
    finish(tmp_path, 1, 400.0)
    finish(tmp_path, 0, 400.0)
    assert mine.end() == " · 20 of 80 runs · about 10 min left", "6 * 400 s / 4"


def test_who_collects_jobs_of_a_cluster_trains_none(tmp_path: Path) -> None:
    """Of four jobs one has ended and one trains there: three are left, one after another."""
    rest = rest_of(tmp_path, *[TEN] * 4)
    for job in (0, 1):
        TimeLeft(tmp_path, Clock()).begin(job)
    finish(tmp_path, 0, 600.0)
    assert rest.end() == " · 10 of 40 runs · about 30 min left"


def test_a_short_rest_is_not_told_of(tmp_path: Path) -> None:
    rest = rest_of(tmp_path, TEN, TEN)
    rest.begin(0)
    finish(tmp_path, 0, 59.0)
    assert rest.end() == ""
    finish(tmp_path, 1, 59.0)
    assert rest.end() == ""


def test_a_long_job_tells_how_far_it_is_once_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    rest = rest_of(tmp_path, TEN, TEN, clock=clock)
    rest.begin(0)
    clock.now += 30
    assert rest.advance(100) == ""
    clock.now += 40  # 200 epochs in 70 s; 800 are left here, and 1000 of the other job
    told = rest.advance(100)
    assert told == "200 of 1000 epochs · 0 of 20 runs · about 10 min left"
    clock.now += 59
    assert rest.advance(100) == ""
    clock.now += 11  # 200 epochs in 70 s again
    assert rest.advance(100) == "400 of 1000 epochs · 0 of 20 runs · about 9 min left"


def test_what_a_checkpoint_has_is_no_pace(tmp_path: Path) -> None:
    clock = Clock()
    rest = rest_of(tmp_path, TEN, clock=clock)
    rest.begin(0)
    assert rest.advance(800) == ""
    clock.now += 100  # the 100 epochs of this process took it, and 100 are left
    assert rest.advance(100).endswith("900 of 1000 epochs · 0 of 10 runs · about 2 min left")


def test_a_sweep_that_only_its_sweeper_knows_tells_nothing(tmp_path: Path) -> None:
    clock = Clock()
    rest = TimeLeft(tmp_path, clock)
    rest.begin(3)
    clock.now += 1000
    assert rest.advance(100) == ""
    finish(tmp_path, 3, 1000.0)
    assert rest.end() == ""


@pytest.mark.parametrize(
    ("overrides", "runs", "epochs"),
    [
        (["seeds=3"], 3, 3 * 5),
        (["seeds=3", "grid.optimizer.lr=[0.1,0.2]"], 6, 6 * 5),
        (["seeds=3", "grid.trainer.epochs=[2,7]"], 6, 3 * (2 + 7)),
        (["seeds=3", "tune.budget=4", "dataset.split_seed=0", "regularizer=l1"], 7, 7 * 5),
    ],
)
def test_the_work_of_a_job_is_the_rows_of_its_epochs(
    overrides: list[str], runs: int, epochs: int
) -> None:
    """640 training rows are seen in each epoch of each run; a search has 4 trials, then 3 runs."""
    [job] = compose(parse([*overrides, "trainer.epochs=5", "dataset.train_size=640"])[0]).jobs
    [planned], _ = plan_all([job])
    work = Work.of(planned)
    assert (work.runs, work.epochs) == (runs, epochs)
    assert work.amount == epochs * 640
    assert work.kind == "digits regexp.model.mlp.MLP"
    assert Work.of([]) == Work()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"), (40, "40 s"), (59.6, "1 min"), (840, "14 min"), (3590, "1 h"),
        (3600 * 3 + 60 * 21, "3 h 20 min"), (86400, "1 day"), (2 * 86400 + 4 * 3600, "2 days 4 h"),
    ],
)  # fmt: skip
def test_times_for_people(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_sweep_counts_its_jobs_as_they_end(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every job says the rest; here nothing is too short. A repeated job is told of first."""
    monkeypatch.setattr("regexp.sweeps.time_left.LEAST", 0.0)
    command: list[Any] = ["-m", "regularizer=none,l1", "regularizer.l1.strength=0,1e-3", "seeds=2"]
    assert sandbox.run(*command, "trainer.epochs=2", "model.hidden=[8]") == 0
    lines = capsys.readouterr().out.splitlines()
    ends = [line for line in lines if "test accuracy" in line or "the runs of job" in line]
    told = [line.split(" · ")[1] for line in ends if line.startswith("[")]
    assert told == ["0 of 6 runs", "2 of 6 runs", "4 of 6 runs", "6 of 6 runs"]
