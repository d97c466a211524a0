"""The summary before training, by the numbers of pandas and scikit-learn; and where it is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from regexp.dataset.base import MULTILABEL
from tests.dataset.made import make, series_lines, table_lines, write
from tests.dataset.test_cures import cures, dataset
from tests.sandbox import SMALL, Sandbox


def summary(dataset, folder):
    return [line.partition(": ")[2] for line in dataset.load(0, folder).summary]


def test_classes_shares_and_the_score_of_the_largest(tmp_path):
    frame = pd.DataFrame({"a": np.arange(90) / 7, "y": [*"ttttssssrr"] * 9})
    frame.loc[:8, "y"] = "q"
    frame.to_csv(tmp_path / "mine.csv", index=False)
    first, second = summary(make("table", path="mine.csv", target="y"), tmp_path)
    score = DummyClassifier().fit(frame[["a"]], frame["y"]).score(frame[["a"]], frame["y"])
    shares = frame["y"].value_counts(normalize=True)
    assert first == (
        f"90 rows; 4 classes: s ({shares['s']:.1%}), t ({shares['t']:.1%}), r ({shares['r']:.1%}) "
        f"and 1 more; accuracy of always 's': {score:.4f}"
    )
    assert second == "inputs: 1 number"


def test_kinds_of_columns_and_their_gaps(tmp_path):
    write(tmp_path / "mine.csv", table_lines())
    lines = summary(make("table", path="mine.csv", target="kind"), tmp_path)
    assert lines[1:] == ["inputs: 3 numbers, 2 categories of 2 to 4 levels; missing: 'age' (10.0%)"]


def test_a_regression_and_the_error_of_its_mean(tmp_path):
    path = write(tmp_path / "mine.csv", table_lines())
    amount = pd.read_csv(path)["amount"].to_numpy()
    first = summary(make("table", path="mine.csv", target="amount"), tmp_path)[0]
    guess = DummyRegressor().fit(np.zeros((120, 1)), amount).predict(np.zeros((120, 1)))
    error = np.sqrt(np.mean((guess - amount) ** 2))
    assert first == (
        f"120 rows; regression of 1 target from {amount.min():.4g} to {amount.max():.4g}; rmse of "
        f"always the mean, {guess[0]:.4g}: {error:.4g}"
    )


def test_several_targets_and_labels(tmp_path):
    path = write(tmp_path / "mine.csv", table_lines())
    several = make("table", path="mine.csv", target=["amount", "income"], columns="age")
    assert summary(several, tmp_path)[0] == (
        "120 rows; regression of 2 targets, each standardized; errors are of all of them together"
    )
    labels = np.array([[0, 0], [1, 0], [1, 1], [1, 0]] * 30)
    frame = pd.read_csv(path).assign(p=labels[:, 0], q=labels[:, 1])
    frame.to_csv(path, index=False)
    asked = make("table", path="mine.csv", target=["p", "q"], task=MULTILABEL)
    assert summary(asked, tmp_path)[0] == (
        "120 rows; 2 labels: p (75.0%), q (25.0%); 1.00 labels a row, and none in 25.0% of the rows"
    )


def test_a_series_and_its_naive_forecast(tmp_path):
    write(tmp_path / "mine.csv", series_lines(["x"]))
    dataset = make("series", path="mine.csv", target="x", window=5)
    (line,) = summary(dataset, tmp_path)
    naive = dataset.load(0, tmp_path).naive["test"]
    assert line == (
        "195 rows of [5, 1]; regression of 1 target; test/rmse of always the last value: "
        f"{naive:.4f}"
    )


@pytest.mark.parametrize(
    ("values", "task", "other"),
    [
        ([3, 4, 5, 6], "classification", "regression"),
        ([0.5, 1, 1.5], "regression", "classification"),
    ],
)
def test_a_target_of_few_numbers_says_what_it_is_taken_for(values, task, other, tmp_path):
    lines = ["a,kind", *(f"{row / 7},{values[row % len(values)]}" for row in range(120))]
    path = write(tmp_path / "mine.csv", lines)
    data = dataset(path).load(0, tmp_path)
    assert data.task == task
    (line,) = [line for line in data.summary if "different numbers of the target" in line]
    assert f"the {len(values)} different numbers of the target are " in line
    cured = dataset(path, *cures(line)).load(0, tmp_path)
    assert cured.task == other
    assert not any("different numbers" in line for line in cured.summary)


@pytest.mark.parametrize("values", [[0, 1], [1, 2], [*np.arange(60) / 8]])
def test_a_target_that_is_plain_says_nothing(values, tmp_path):
    lines = ["a,kind", *(f"{row / 7},{values[row % len(values)]}" for row in range(120))]
    data = dataset(write(tmp_path / "mine.csv", lines)).load(0, tmp_path)
    assert len(data.summary) == 2


def test_classes_with_numbers_among_them_are_told_and_both_cures_work(tmp_path):
    words = ["1", "2", "3", "?"]
    lines = ["a,kind", *(f"{row / 7},{words[row % 4]}" for row in range(120))]
    path = write(tmp_path / "mine.csv", lines)
    table = dataset(path).read(tmp_path)
    assert table.classes == ("1", "2", "3", "?")
    (remark,) = table.remarks
    missing, drop, task = cures(remark)
    cured = dataset(path, missing, drop).read(tmp_path)
    assert (cured.classes, len(cured.targets)) == (("1", "2", "3"), 90)
    assert dataset(path, task).read(tmp_path).remarks == ()


def test_it_is_said_once_before_training_and_by_a_dry_run(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Warnings stay with the runs, the summary does not."""
    said = "iris: 150 rows; 3 classes: setosa (33.3%), versicolor (33.3%), virginica (33.3%); "
    command = ("-m", "regularizer=none,l1", "dataset=iris", *SMALL)
    assert sandbox.run(*command, "dry_run=true") == 0
    assert capsys.readouterr().out.count(said) == 1
    assert sandbox.run(*command) == 0
    printed = capsys.readouterr().out
    assert printed.count(said) == 1
    assert (
        printed.index(said) < printed.index("iris: 1 of 150 rows repeats") < printed.index("[1/2]")
    )
    assert {remark.count("classes") for remark in sandbox.children()["remarks"]} == {0}


def test_what_sentinels_spoil_the_cure_mends(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two columns say the class; -9999 in 1% of their rows makes them nearly constant.

    As in a table of real galaxies, where 11 rows took the accuracy from .763 to .656.
    """
    random = np.random.default_rng(0)
    kinds = random.integers(0, 2, 400)
    values = random.normal(size=(400, 2)) + 2 * kinds[:, None]
    clean = pd.DataFrame(values.round(4), columns=["a", "b"]).assign(kind=kinds)
    spoiled = clean.copy()
    for name in ("a", "b"):
        spoiled.loc[random.permutation(400)[:4], name] = -9999
    spoiled.to_csv("spoiled.csv", index=False)
    clean.to_csv("clean.csv", index=False)

    def accuracy(*overrides: str) -> float:
        command = ["-m", "regularizer=none", "dataset=table", "dataset.target=kind", "seeds=3"]
        assert sandbox.run(*command, "trainer.epochs=40", "optimizer.lr=0.01", *overrides) == 0
        with sandbox.tracker() as tracker:
            [latest, *_] = tracker.client.search_runs(
                [tracker.experiment_id], "tags.`sweep.key` != ''"
            )
            return float(tracker.runs(latest.info.run_id)["metrics.test/accuracy"].mean())

    before = accuracy("dataset.path=spoiled.csv")
    (cure,) = {*cures(capsys.readouterr().out)}
    assert cure == 'dataset.missing=["-9999"]'
    after = accuracy("dataset.path=spoiled.csv", cure)
    best = accuracy("dataset.path=clean.csv")
    assert before < best - 0.1
    assert after > best - 0.03
