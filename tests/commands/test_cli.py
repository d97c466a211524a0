"""The command line: a whole sweep on little data, and what becomes of jobs that fail."""

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import regexp.sweeps.job
import regexp.tracking
from regexp.__main__ import USAGE_ERROR, run
from regexp.sweeps.resume import Resume
from regexp.tracking import Tracker
from tests import processes
from tests.processes import Forked
from tests.sandbox import SMALL, Sandbox

ROOT = Path(__file__).parents[2]


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file with its size and time of change, but for SQLite's shared memory.

    Files are not opened: closing one would take this process's locks on the database away.
    """
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in found
        if not path.name.endswith(("-shm", "-wal"))
    }


def test_a_sweep_from_end_to_end(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["-m", "regularizer=none,l1,[l1,dropout]", "regularizer.l1.strength=1e-3", *SMALL]

    before = files(sandbox.store)
    assert sandbox.run(*command, "dry_run=true") == 0
    planned = capsys.readouterr().out
    assert "3 jobs, 6 runs: 0 finished, 6 to run" in planned
    assert " l1+dropout " in planned
    assert "unknown" not in planned, "the time could not be measured"
    assert files(sandbox.store) == before, "a dry run wrote something"

    assert sandbox.run(*command) == 0
    printed = capsys.readouterr().out
    assert "[3/3] l1+dropout: test accuracy" in printed
    assert "vs none" in printed
    assert "viewStateShareKey" in printed
    [(parent, status)] = sandbox.parents().items()
    assert status == "FINISHED"
    with sandbox.tracker() as tracker:
        kept = tracker.client.get_run(parent).data.params
    assert kept["model.hidden"] == "[8]"
    assert not any(key.startswith("regularizer") for key in kept), "each job has another"
    runs = sandbox.children()
    assert list(runs["status"]) == ["FINISHED"] * 6
    assert sorted(set(runs["technique"])) == ["l1", "l1+dropout", "none"]
    assert set(runs[runs["technique"] == "l1"]["params.regularizer.l1.strength"]) == {"0.001"}

    # the same again: nothing is run twice, and the sweep stays one
    before = files(sandbox.store)
    assert sandbox.run(*command, "dry_run=true") == 0
    assert "3 jobs, 6 runs: 6 finished, 0 to run" in capsys.readouterr().out
    assert files(sandbox.store) == before, "a dry run wrote something"
    assert sandbox.run(*command) == 0
    assert capsys.readouterr().out.count("finished before") == 3
    assert list(sandbox.parents()) == [parent]
    assert len(sandbox.children()) == 6
    assert not list(sandbox.folder.iterdir()), "files outside paths.mlruns"


def test_what_does_not_apply_is_said_and_left_out(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["-m", "regularizer=none,zoneout,stochastic_depth,l1", *SMALL]
    assert sandbox.run(*command, "dry_run=true") == 0
    planned = capsys.readouterr().out
    assert "4 jobs, 4 runs: 0 finished, 4 to run" in planned
    assert sandbox.run(*command) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("2 jobs of 4 left out, which do not apply here:\n  zoneout: is for")
    assert "[2/4] zoneout: does not apply" in printed
    assert sorted(set(sandbox.children()["technique"])) == ["l1", "none"]
    assert set(sandbox.parents().values()) == {"FINISHED"}

    assert sandbox.run("regularizer=zoneout", *SMALL) == USAGE_ERROR
    assert "regularizer.zoneout: is for series" in capsys.readouterr().err
    assert sandbox.run("-m", "regularizer=zoneout,stochastic_depth", *SMALL) == USAGE_ERROR


def test_errors_unit_and_the_seeds_ensemble_are_said(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("trainer.epochs=2", "seeds=2")
    assert sandbox.run("dataset=diabetes", "dataset.split_seed=0", "model.hidden=[4]", *small) == 0
    printed = capsys.readouterr().out
    assert "in their own unit: test/rmse_unscaled" in printed
    [value] = set(sandbox.children()["metrics.ensemble/rmse"])
    unscaled = ("dataset=diabetes", "model.hidden=[4]", "compare.metric=test/mae_unscaled")
    assert f"Mean prediction of the seeds, ensemble/rmse: none {value:.4f}" in printed
    assert sandbox.run(*unscaled, *small) == 0
    assert "in their own unit" not in capsys.readouterr().out


def test_rows_that_repeat_others_are_said_once_and_kept(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=2", "seeds=2")
    line = "iris: 1 of 150 rows repeats the inputs of an earlier one; equal rows stay in one split"
    assert sandbox.run("-m", "regularizer=none,l1", *small, "dry_run=true") == 0
    assert capsys.readouterr().out.count(line) == 1
    assert sandbox.run("-m", "regularizer=none,l1", *small) == 0
    assert capsys.readouterr().out.count(line) == 1
    assert all(told.startswith(line) for told in sandbox.children()["remarks"])


def test_a_dry_run_counts_in_english(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert sandbox.run("dry_run=true", *SMALL[:-1]) == 0
    printed = capsys.readouterr().out
    assert "1 job, 1 run: 0 finished, 1 to run in about " in printed
    assert "swept" not in printed, "nothing is"


def test_a_dry_run_shows_the_names_in_brackets(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["-m", "regularizer=none", "model.hidden=[8],[9]", "trainer.epochs=1"]
    assert sandbox.run(*command, "dataset.train_size=64", "dry_run=true") == 0
    assert "model.hidden=[9]" in capsys.readouterr().out


def test_a_run_without_m_is_a_sweep_of_one_job(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run("regularizer=l1", "grid.regularizer.l1.strength=[1e-4,1e-3]", *SMALL) == 0
    printed = capsys.readouterr().out
    assert "[1/1] l1: 4 runs ..." in printed
    # the points of a grid are different experiments: no mean over them
    assert "[1/1] l1: 4 runs finished, " in printed
    assert sorted(set(sandbox.children()["variant"])) == ["strength=0.0001", "strength=0.001"]
    assert len(sandbox.reports()[-1]["outcomes"]) == 4


def test_a_grid_varies_the_end_of_a_schedule(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    falling = "regularizer.dropout.hidden={from:0.5,to:0}"
    grid = "grid.regularizer.dropout.hidden.from=[0.2,0.9,0.0]"
    assert sandbox.run("regularizer=dropout", falling, grid, *SMALL) == 0
    assert "[1/1] dropout: 6 runs finished, " in capsys.readouterr().out
    runs = sandbox.children()
    assert sorted(set(runs["variant"])) == ["from=0", "from=0.2", "from=0.9"]
    assert runs["metrics.test/loss"].nunique() == 6


def test_a_swept_number_of_a_technique_runs_the_others_once(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        sandbox.run("-m", "regularizer=none,l1", "regularizer.l1.strength=1e-4,1e-3", *SMALL) == 0
    )
    assert "[2/4] none: the runs of job 1" in capsys.readouterr().out
    runs = sandbox.children()
    assert len(runs) == 6
    assert sorted(set(runs["label"])) == ["l1 (strength=0.0001)", "l1 (strength=0.001)", "none"]


@pytest.mark.parametrize(
    "words",
    ["regularizer.l1.include=weights,all", "grid.regularizer.l1.include=[weights,all]"],
    ids=["jobs", "grid"],
)
def test_a_swept_word_of_a_technique_is_held_against_none(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert sandbox.run("-m", "regularizer=none,l1", words, *SMALL) == 0
    swept = sandbox.children()
    assert len(swept) == 6
    assert sorted(set(swept["label"])) == ["l1 (include=all)", "l1 (include=weights)", "none"]
    assert not swept["setting"].any()
    [heading] = [line for line in capsys.readouterr().out.splitlines() if "vs none" in line]
    assert "verdict" in heading


def test_an_experiment_without_m_says_that_it_has_a_sweep(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "its sweep over regularizer is for -m"
    for more, told in ((), True), (("regularizer=l1",), False):
        for dry in (), ("dry_run=true",):
            assert sandbox.run("experiment=digits_mlp", *more, *SMALL, *dry) == 0
            assert (said in capsys.readouterr().out) is told
    assert sandbox.run("-m", "experiment=digits_mlp", "dry_run=true") == 0
    assert said not in capsys.readouterr().out


def test_what_else_is_swept_is_a_setting(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run("-m", "optimizer.lr=0.01,0.1", *SMALL) == 0
    printed = capsys.readouterr().out
    for number, rate in enumerate((0.01, 0.1), start=1):
        assert f"[{number}/2] none, optimizer.lr={rate}: 2 runs ..." in printed
        assert f"[{number}/2] none, optimizer.lr={rate}: test accuracy" in printed
    settings = sorted(set(sandbox.children()["setting"]))
    assert settings == ["optimizer.lr=0.01", "optimizer.lr=0.1"]


def test_a_failing_job_does_not_take_the_sweep_with_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = regexp.sweeps.job.train

    def breaks(runs: Any, *args: Any) -> Any:
        if runs[0].technique == "l1":
            raise RuntimeError("the disk is on fire")
        return train(runs, *args)

    monkeypatch.setattr(regexp.sweeps.job, "train", breaks)
    assert sandbox.run("-m", "regularizer=none,l1,l2", *SMALL) == 1
    printed = capsys.readouterr().out
    assert "[3/3] l2: test accuracy" in printed
    assert "l1: RuntimeError: the disk is on fire" in printed
    assert list(sandbox.parents().values()) == ["FAILED"]
    assert len(sandbox.children()) == 4


def test_a_run_that_diverges_fails_with_its_reason(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sandbox.run("optimizer=sgd", "optimizer.lr=1e30", *SMALL) == 1
    printed = capsys.readouterr().out
    assert "lower optimizer.lr" in printed.partition("2 failed")[2]
    assert "viewStateShareKey" in printed
    assert "test/rmse" not in printed, "accuracy is what this task has"
    assert "technique  " not in printed, "there is nothing to compare"
    assert set(sandbox.children()["status"]) == {"FAILED"}
    assert list(sandbox.parents().values()) == ["FAILED"]


def test_a_report_that_cannot_be_written_does_not_take_the_sweep_with_it(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write = Path.write_text

    def full(path: Path, content: str, *args: Any, **kwargs: Any) -> int:
        if path.parent.name == "plans" and '"technique": "none"' in content:
            write(path, content[:10])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    assert sandbox.run("-m", "regularizer=none,l1", *SMALL) == 1
    printed = capsys.readouterr().out
    assert "[1/2] none: cannot write its report ([Errno 28] No space left" in printed
    assert "[2/2] l1: test accuracy" in printed
    assert "none: the job left no report" in printed
    assert list(sandbox.children()["status"]) == ["FINISHED"] * 4
    assert list(sandbox.parents().values()) == ["FAILED"]


@pytest.mark.parametrize("how", ["ctrl_c", "sigterm"])
def test_nothing_stays_running_after_an_interruption(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    how: str,
) -> None:
    start = Tracker.start

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        start(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGINT if how == "ctrl_c" else signal.SIGTERM)

    command = ("-m", "regularizer=none,l1", *SMALL)
    with monkeypatch.context() as patched:
        patched.setattr(Tracker, "start", interrupted)
        if how == "ctrl_c":
            assert sandbox.run(*command) == 130
        else:
            with pytest.raises(SystemExit) as ended:
                sandbox.run(*command)
            assert ended.value.code == 128 + signal.SIGTERM
    printed = capsys.readouterr()
    assert printed.out.count("Interrupted. The same command again goes on") == 1
    assert "interrupted\n" not in printed.err, "once is enough"
    assert list(sandbox.parents().values()) == ["KILLED"]
    assert list(sandbox.children()["status"]) == ["KILLED"]

    assert sandbox.run(*command) == 0
    assert list(sandbox.parents().values()) == ["FINISHED"]
    assert list(sandbox.children()["status"]) == ["FINISHED"] * 4, "the killed one goes on"


def test_equal_commands_at_the_same_time_train_nothing_twice(sandbox: Sandbox) -> None:
    sandbox.run("seeds=1", *SMALL)  # makes the store and the experiment
    command = ["-m", "regularizer=none,l1", *SMALL, *sandbox.arguments]
    both = [processes.regexp(*command) for _ in range(2)]
    ended = [process.end() for process in both]
    assert [status for status, _ in ended] == [0, 0], ended
    with sandbox.tracker() as tracker:
        runs = [tracker.runs(parent) for parent in sandbox.parents()]
    [own] = [table for table in runs if len(set(table["technique"])) == 2]
    assert list(own["status"]) == ["FINISHED"] * 4
    assert own["fingerprint"].is_unique


def give_until_the_second_job(*arguments: str) -> None:
    """A command that SIGKILL ends after the first epoch of its second job."""
    whole = Resume.save
    epochs: list[int] = []

    def save(self: Resume, epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        whole(self, epoch, content)
        epochs.append(epoch)
        if epochs == [1, 1]:  # not called after the last epoch of a job
            os.kill(os.getpid(), signal.SIGKILL)

    Resume.save = save  # type: ignore[method-assign]
    processes.give(*arguments)


def test_after_kill_9_the_same_command_loses_nothing_and_repeats_nothing(
    sandbox: Sandbox,
) -> None:
    arguments = ["-m", "regularizer=none,l1,l2", *SMALL]
    process = Forked(give_until_the_second_job, *arguments, *sandbox.arguments)
    status, printed = process.end()
    assert status == -signal.SIGKILL, printed

    with sandbox.tracker():  # opening the store tells what died
        pass
    before = sandbox.children()
    assert set(before["status"]) <= {"FINISHED", "FAILED"}
    finished = before[before["status"] == "FINISHED"]
    assert sorted(finished["technique"]) == ["none", "none"]

    assert sandbox.run(*arguments) == 0
    after = sandbox.children()
    done = after[after["status"] == "FINISHED"]
    assert sorted(done["technique"]) == sorted(["none", "l1", "l2"] * 2)
    assert done["fingerprint"].is_unique
    assert set(finished["run_id"]) <= set(done["run_id"]), "a finished run was run again"
    assert list(sandbox.parents().values()) == ["FINISHED"]


def test_a_batch_larger_than_the_training_split_is_refused_before_anything_is_written(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(sandbox.store)
    command = ["-m", "regularizer=none,l1", *SMALL, "trainer.batch_size=32,65"]
    assert sandbox.run(*command) == USAGE_ERROR
    printed = capsys.readouterr().err
    assert "trainer.batch_size=65: expected at most the 64 rows" in printed
    assert "in the job" in printed
    assert files(sandbox.store) == before


@pytest.mark.slow
def test_jobs_run_side_by_side_with_joblib(
    sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    command = ["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "regularizer=none,l1"]
    done = subprocess.run(
        [sys.executable, "-m", "regexp", *command, *SMALL, *sandbox.arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0
    assert "[2/2] l1: test accuracy" in capfd.readouterr().out
    found = sandbox.children()
    assert list(found["status"]) == ["FINISHED"] * 4
    # one process gives the same bits
    sandbox.arguments[1] = f"tracking.experiment={sandbox.experiment}-alone"
    assert sandbox.run("-m", "regularizer=none,l1", *SMALL) == 0
    sandbox.experiment += "-alone"
    alone = sandbox.children()
    metrics = [name for name in found if re.match(r"metrics\.(train|val|test)/", name)]
    key = ["technique", "seed"]
    first, second = (one.sort_values(key)[metrics].to_numpy(float) for one in (found, alone))
    assert len(metrics) > 8
    assert np.array_equal(first, second, equal_nan=True)


def test_help_lists_the_groups_and_imports_little(sandbox: Sandbox) -> None:
    script = (
        "import sys; from regexp.__main__ import run\n"
        "try: run(['--help'])\n"
        "finally: print([m for m in ('torch', 'mlflow', 'sklearn', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "dataset: breast_cancer, diabetes" in done.stdout
    assert "regularizer: accumulation, activation_regularization" in done.stdout
    assert "trainer:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert not list(sandbox.folder.iterdir())


def test_ui_serves_the_configured_store(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def serve(*args: Any) -> int:
        asked.append(args)
        return 0

    monkeypatch.setattr(regexp.tracking, "serve", serve)
    assert run(["ui", "tracking.port=5001", "paths.mlruns=elsewhere"]) == 0
    assert asked == [(None, "elsewhere", 5001, "127.0.0.1")]
    assert run(["ui", "tracking.prot=5001"]) == USAGE_ERROR


def test_an_empty_regexp_data_is_no_folder_of_data(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGEXP_DATA", "")
    assert sandbox.run("dry_run=true", *SMALL) == 0
    assert "2 runs" in capsys.readouterr().out
