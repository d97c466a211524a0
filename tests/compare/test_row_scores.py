"""Scores by row: their mean is the metric as it is recorded, and their spread its jackknife's."""

from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics
import torch

from regexp.compare.row_scores import predictions, row_scores
from regexp.metrics import evaluate, scores
from regexp.metrics.calibration import brier_score
from regexp.metrics.names import TASKS
from regexp.metrics.outputs import RowOutputs

ROWS = 90


def made(task: str) -> RowOutputs:
    rng = np.random.default_rng(0)
    drawn: dict[str, np.ndarray] = {
        "classification": rng.choice(3, ROWS, p=[0.4, 0.35, 0.25]),
        "multilabel": (rng.uniform(size=(ROWS, 3)) < 0.3).astype(np.float32),
        "regression": rng.normal(size=(ROWS, 2)).astype(np.float32),
    }
    columns = 2 if task == "regression" else 3
    return RowOutputs(
        task=task,
        rows=np.arange(ROWS),
        outputs=rng.normal(size=(ROWS, columns)).astype(np.float32),
        targets=drawn[task],
        classes=("width", "a/b") if task == "regression" else ("a", "b/c", "d"),
        mean=np.zeros(columns),
        scale=np.full(columns, 4.0 if task == "regression" else 1.0),
    )


def recorded(test: RowOutputs) -> dict[str, float]:
    """The metrics of a run on these rows, as `regexp.sweeps.final_metrics` has them."""
    outputs, targets = torch.from_numpy(test.outputs), torch.from_numpy(test.targets)
    found = {name: float(value) for name, value in
             evaluate.metrics(outputs, targets, test.task).items()}  # fmt: skip
    found |= scores.scores(outputs, targets, test.task, test.classes)
    if test.task == "classification":
        found["brier"] = brier_score(outputs, targets)
    if test.task == "regression":
        found |= {f"{name}_unscaled": 4 * found[name] for name in ("rmse", "mae")}
        each = sklearn.metrics.root_mean_squared_error(
            4 * test.targets, 4 * test.outputs, multioutput="raw_values"
        )
        found |= dict(zip(("rmse/width", "rmse/a_b"), each.tolist(), strict=True))
    return found


def without(test: RowOutputs, row: int) -> RowOutputs:
    parts = {name: np.delete(getattr(test, name), row, 0) for name in
             ("rows", "outputs", "targets")}  # fmt: skip
    return replace(test, **parts)


NO_FORM = {"r2", "macro_f1", "micro_f1", "roc_auc", "ece"}


@pytest.mark.parametrize("task", TASKS)
def test_their_mean_is_the_metric_and_their_spread_the_jackknifes(task: str) -> None:
    test = made(task)
    expected = recorded(test)
    rest = [recorded(without(test, row)) for row in range(ROWS)]
    assert expected.keys() > {"loss"}
    for name, value in expected.items():
        found = row_scores(test, f"test/{name}")
        if name in NO_FORM:
            assert found is None, name
            continue
        assert found is not None, name
        assert found.mean() == pytest.approx(value, rel=1e-5), name
        # what a row moves the metric by: (k - 1) times its change without the row
        moved = value + (ROWS - 1) * (value - np.array([each[name] for each in rest]))
        assert np.corrcoef(found, moved)[0, 1] > 0.98, name
        assert found.std() == pytest.approx(moved.std(), rel=0.1), name


def test_recalls_are_known_by_their_names() -> None:
    test = made("classification")
    found = row_scores(test, "test/recall/b_c")
    assert found is not None
    right = predictions(test) == test.targets
    assert found.mean() == pytest.approx(right[test.targets == 1].mean())
    assert row_scores(test, "test/recall/e") is None


@pytest.mark.parametrize("metric", ["final/val_accuracy", "test/cost", "epochs"])
def test_other_metrics_have_no_form(metric: str) -> None:
    assert row_scores(made("classification"), metric) is None


def test_of_targets_in_two_units_there_is_no_own_unit() -> None:
    test = replace(made("regression"), scale=np.array([1.0, 2.0]))
    assert row_scores(test, "test/rmse_unscaled") is None


def test_a_regression_without_errors_has_none() -> None:
    test = made("regression")
    exact = row_scores(replace(test, outputs=test.targets), "test/rmse")
    assert exact is not None
    assert not exact.any()
