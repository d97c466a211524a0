"""`regexp diff`: what differs between two runs, in tables."""

from pathlib import Path

import pytest

from regexp.__main__ import USAGE_ERROR
from regexp.rerun import report
from regexp.rerun.environments import EnvironmentDifference

from .conftest import Trained


def cells(told: str) -> list[list[str]]:
    return [line.split() for line in told.splitlines()]


def test_runs_of_another_technique_and_seed_differ(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    names = {run.name: run for run in originals}
    first, second = names["none seed=0"], names["l1+ema seed=1"]
    assert store.run("diff", first.run_id, second.run_id) == 1
    told = capsys.readouterr().out
    rows = cells(told)
    assert ["seed", "0", "1"] in rows
    assert ["regularizer.l1.strength", "(none)", "0.0001"] in rows
    assert not any(row[0].startswith("optimizer.") for row in rows if row)
    [row] = [row for row in rows if row and row[0] == "test/loss"]
    assert row[1:3] == [repr(run.metrics["test/loss"][0]) for run in (first, second)]
    [row] = [row for row in rows if row and row[0] == "train/loss"]
    assert row[1:5] == [
        repr(first.metrics["train/loss"][3]), repr(second.metrics["train/loss"][3]), "epoch", "1",
    ]  # fmt: skip
    assert "weights.hidden.0.layer.weight: 32 of 32 values" in told
    assert "Data, code, libraries and processor are the same" in told
    assert "seconds" not in told


def test_a_run_and_its_rerun_are_identical(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    store.run("rerun", originals[0].run_id)
    [again] = store.runs(store.sweeps()[-1])
    capsys.readouterr()
    assert store.run("diff", originals[0].run_id, again.run_id) == 0
    assert "The results are identical (3 epochs" in capsys.readouterr().out


def test_two_runs_are_asked_for(
    trained: Trained, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, originals = trained
    run_id = originals[0].run_id
    for arguments in ([run_id], [run_id] * 3, []):
        assert store.run("diff", *arguments) == USAGE_ERROR
        assert "expected RUN_ID RUN_ID" in capsys.readouterr().err
    assert store.run("diff", run_id, run_id, "--allow", "x") == USAGE_ERROR
    assert "regexp diff: unrecognized arguments: --allow" in capsys.readouterr().err


def test_differences_of_a_sweep_are_counted_and_the_unlikely_ones_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    digest = "0123456789abcdef" * 4
    data = EnvironmentDifference("the data iris", digest, digest[::-1], "data")
    others = [
        EnvironmentDifference(f"library{i:02}", "1", "2", "other") for i in range(report.OTHERS + 3)
    ]
    report.print_environments([[data, *others], others, others])
    told = capsys.readouterr().out
    assert ["the", "data", "iris", "0123456789ab...", "fedcba987654...", "1", "of", "3"] in cells(
        told
    )
    assert told.count("library") == report.OTHERS
    assert "and 3 more, which are unlikely to change results" in told


def test_nothing_from_elsewhere_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    report.print_environments(
        [[EnvironmentDifference("lib\x1b[31m", "1\n2", "\u202eabc", "other")]]
    )
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
