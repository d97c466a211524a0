"""Jobs are planned once, by the command, and train what it planned."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from regexp.commands.arguments import parse
from regexp.compare.splits import design
from regexp.config import plan_file
from regexp.config.jobs import Sweep, compose
from regexp.config.launching import launch
from regexp.metrics.outputs import read
from regexp.sweeps import launched
from regexp.sweeps import plan as planning
from regexp.sweeps.planned_run import PlannedRun
from regexp.tracking import Tracker, delivery
from regexp.tracking.outbox import RefusedError
from regexp.tracking.redelivery import spool_of
from regexp.tracking.spool import Record
from tests.sandbox import SMALL, Sandbox

SWEEP = ["-m", "regularizer=none,l1", "regularizer.l1.strength=1e-4,1e-3", *SMALL]


def test_a_job_is_planned_once_and_its_runs_are_recorded_as_planned(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A number that the sweep varies was a variant in the job alone."""
    planned: list[list[PlannedRun]] = []
    plan = planning.plan

    def noting(*arguments: object, **named: object) -> list[PlannedRun]:
        planned.append(plan(*arguments, **named))  # type: ignore[arg-type]
        return planned[-1]

    monkeypatch.setattr(planning, "plan", noting)
    assert sandbox.run(*SWEEP) == 0
    assert len(planned) == 4, "two techniques at two strengths, of which none has one"
    runs = {run.fingerprint: run for job in planned for run in job}
    assert {run.variant for run in runs.values()} == {"", "strength=0.0001", "strength=0.001"}
    recorded = sandbox.children().set_index("fingerprint")
    assert set(recorded.index) == set(runs)
    for fingerprint, row in recorded.iterrows():
        run = runs[str(fingerprint)]
        assert (row["name"], row["variant"], row["seed"]) == (run.name, run.variant, run.seed)


def test_jobs_with_nothing_to_train_are_given_to_no_launcher(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[list[str]] = []
    before = len(sandbox.reports())

    def noting(sweep: Sweep, *others: Any) -> None:
        given.append([job.technique for job in sweep.jobs])
        launch(sweep, *others)

    monkeypatch.setattr("regexp.sweeps.course.launch", noting)
    assert sandbox.run("-m", "regularizer=none", *SMALL) == 0
    for _ in range(2):
        assert sandbox.run("-m", "regularizer=none,l1", *SMALL) == 0
    assert given == [["none"], ["l1"]]
    told = capsys.readouterr().out
    assert told.count("[1/2] none: finished before") == 2
    assert told.count("[2/2] l1: finished before") == 1
    assert len(sandbox.reports()) == before + 1 + 2 * 2, "one of each job, whoever did it"


def test_how_seeds_split_the_rows_is_read_from_what_runs_record(sandbox: Sandbox) -> None:
    """Rows that `train_size` leaves are tested: each of 1,797 has a part in a run."""
    assert sandbox.run("regularizer=none", *SMALL) == 0
    runs = sandbox.children()
    tested = [len(read(sandbox.test_outputs(run_id)).rows) for run_id in runs["run_id"]]
    found = design(runs, sum(tested) / len(tested), one_split=False, same_rows=False)
    assert found.training == 64
    assert found.pool == pytest.approx(1797, abs=5)


def test_what_the_store_refuses_of_a_job_in_another_process_fails_the_sweep(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tracker of such a job is its own; that of the command knows nothing of it."""

    @contextmanager
    def unshared(config: DictConfig) -> Iterator[Tracker]:
        with launched.open_tracker(config) as tracker:
            yield tracker

    def send(to: object, run_id: str, records: Sequence[Record]) -> None:
        if records[0]["kind"] == "dataset":  # of jobs alone
            raise RefusedError("no room for data")
        real(to, run_id, records)

    real: Any = delivery._send
    monkeypatch.setattr(delivery, "_send", send)
    monkeypatch.setattr("regexp.sweeps.execute.shared_tracker", unshared)
    assert sandbox.run("-m", "regularizer=none,l1", *SMALL) == 1
    printed = capsys.readouterr().out
    assert "2 failed" in printed
    assert "(no room for data). They are kept in" in printed


def test_what_another_process_leaves_on_disk_is_delivered_in_the_end(
    sandbox: Sandbox,
) -> None:
    """As a job whose server was away for a moment."""
    assert sandbox.run("regularizer=none", *SMALL) == 0
    (run_id, _) = sandbox.children()["run_id"]
    with sandbox.tracker() as tracker:
        spool = spool_of(tracker.uri, tracker.folder)
        spool.append(run_id, [delivery.tag("late", "yes")])
        spool.release()
    assert tracker.left.nothing
    assert tracker.client.get_run(run_id).data.tags["late"] == "yes"


def test_a_run_comes_out_of_its_file_as_it_went_in(tmp_path: Path) -> None:
    overrides = ["model.hidden=[8]", "trainer.epochs=2", "tune.budget=2", "dataset.split_seed=0"]
    [job] = compose(parse(["regularizer=l1", "seeds=3", *overrides])[0]).jobs
    runs = [replace(run, remarks=("a", "b: c")) for run in planning.plan(job.config)]
    plan_file.write(tmp_path / "plan.yaml", {"runs": [run.as_plain() for run in runs]})
    content = plan_file.read(tmp_path / "plan.yaml")
    assert [PlannedRun.from_plain(run) for run in content["runs"]] == runs
    assert runs[0].trial_for == (0, 1, 2)


def test_what_runs_share_is_written_once(tmp_path: Path) -> None:
    sizes = []
    for seeds in (1, 50):
        [job] = compose(parse([f"seeds={seeds}", "dataset.split_seed=0"])[0]).jobs
        runs = planning.plan(job.config)
        plan_file.write(tmp_path / "plan.yaml", {"runs": [run.as_plain() for run in runs]})
        sizes.append((tmp_path / "plan.yaml").stat().st_size)
    assert sizes[1] < 3 * sizes[0]


NUMBERS = [0.0, -0.0, 1, 1.0, True, 5e-324, 1e300, float("inf"), 10**30]


@pytest.mark.parametrize(
    "rows",
    [
        [{"a": {"b": value, "c": [value]}, "d": None} for value in NUMBERS],
        [{"a": {}, "b": text} for text in ["1", "1e-3", "null", "ü\u2028\U0001f600", "- x: y\n"]],
        [{1: "integer", "1": "text"}, {1: "other", "1": "text"}],
        [{"a": 1, "b": 2}, {"b": 2, "a": 1}],  # the order of techniques counts
        [{"a": {"b": 1}}, {"a": [1]}, {"a": None}],
        [{"a": 1}],
        [{"metrics": one} for one in ({}, {"b": float("nan"), "a": 1}, {"a": 2.5, "c": "ü"})],
        [],
    ],
)
def test_rows_of_a_plan_keep_their_types_and_order(rows: list[dict], tmp_path: Path) -> None:
    plan_file.write(tmp_path / "plan.yaml", {"runs": rows, "known": rows[:1], "order": {}})
    content = plan_file.read(tmp_path / "plan.yaml")
    assert repr(content) == repr({"runs": rows, "known": rows[:1], "order": {}})


@pytest.mark.parametrize(("number", "said"), [(0, "a\nb\n\n"), (1, "")])
def test_of_jobs_that_only_the_sweeper_knows_the_first_says_what_must_be_known(
    number: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [job] = compose(parse(list(SMALL))[0]).jobs
    runs = [replace(run, remarks=("a", "b"), summary=()) for run in planning.plan(job.config)]
    monkeypatch.setattr(planning, "plan", lambda config: runs)
    monkeypatch.setattr("regexp.sweeps.job.train", lambda *_: [])
    monkeypatch.setattr(launched, "current_job", lambda: (number, []))
    monkeypatch.setattr(launched, "_tracker", object())
    order = launched.Order("sweep", 0, [], "")
    assert launched._train(job.config, {}, order, "", print) == ([], "")
    assert capsys.readouterr().out == said


def test_a_folder_for_a_sweep_that_cannot_be_made_is_told_before_anything_is_written(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert (
        sandbox.run("-m", "regularizer=none,l1", *SMALL, f"hydra.sweep.dir={tmp_path}/file/x") == 2
    )
    assert f"as {tmp_path}/file is no folder" in capsys.readouterr().err
    assert not sandbox.parents()
