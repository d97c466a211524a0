"""Differences by row, gathered from artifacts that a dictionary keeps."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regexp.compare.by_row import RowReader, by_row
from regexp.metrics.outputs import RowOutputs, write

CLASSES = 3


class Store:
    """Test outputs of runs by their ids, and how often they were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []

    def put(self, run_id: str, rows: np.ndarray, wrong: np.ndarray, noise: float = 0.0) -> float:
        """Keep a run that predicts the rows' number modulo 3, but for some; its accuracy."""
        targets = rows % CLASSES
        said = np.where(np.isin(rows, wrong), (targets + 1) % CLASSES, targets)
        outputs = np.eye(CLASSES, dtype=np.float32)[said] * 5 + np.float32(noise)
        one = np.ones(CLASSES)
        test = RowOutputs("classification", rows, outputs, targets, tuple("abc"), 0 * one, one)
        write(self.folder / f"{run_id}.npz", test)
        return float((said == targets).mean())

    def text(self, run_id: str, name: str) -> bytes | None:
        assert name == "test_outputs.npz"
        self.asked.append(run_id)
        path = self.folder / f"{run_id}.npz"
        return path.read_bytes() if path.exists() else None


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


ROWS = {0: np.array([3, 1, 8]), 1: np.array([5, 3, 0, 2])}


def family(store: Store) -> list[Any]:
    """A baseline wrong on rows 3 and 5, one that is wrong on 5 alone, one that lacks a seed."""
    runs: dict[str, dict[int, tuple[str, float]]] = {"none": {}, "good": {}, "lacking": {}}
    for seed, rows in ROWS.items():
        for name, wrong in (("none", [3, 5]), ("good", [5]), ("lacking", [3, 5, 8])):
            run_id = f"{name}{seed}"
            runs[name][seed] = run_id, store.put(run_id, rows, np.array(wrong))
    del runs["lacking"][1]
    return [(runs["good"], runs["none"]), (runs["lacking"], runs["none"])]


def test_differences_stand_by_technique_seed_and_row(store: Store) -> None:
    found = by_row(family(store), RowReader(store, "test/accuracy"))
    assert found is not None
    assert found.seed.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert found.row.tolist() == [3, 1, 8, 5, 3, 0, 2]
    nan = np.nan
    expected: list[list[float]] = [[1, 0, 0, 0, 1, 0, 0], [0, 0, -1, nan, nan, nan, nan]]
    assert np.array_equal(found.differences, expected, equal_nan=True)
    assert found.tested.tolist() == [7, 3]
    assert not found.idle.any()
    assert found.per_seed == 3.5
    assert not found.same_rows
    assert sorted(store.asked) == sorted({*store.asked})  # each file once


def test_a_technique_that_changes_no_prediction_is_idle_whatever_rounding_did(
    store: Store,
) -> None:
    pairs = family(store)
    again = {seed: (f"again{seed}", store.put(f"again{seed}", rows, np.array([3, 5]), noise=1e-6))
             for seed, rows in ROWS.items()}  # fmt: skip
    reader = RowReader(store, "test/loss")
    loss = float(np.log(1 + 2 * np.exp(-5)))
    losses = [
        {seed: (run_id, loss + 5 * float(np.isin(ROWS[seed], [3, 5]).mean()))
         for seed, (run_id, _) in of.items()}
        for of in (again, pairs[0][1])
    ]  # fmt: skip
    found = by_row([(losses[0], losses[1])], reader)
    assert found is not None
    assert found.idle.tolist() == [True]
    assert not found.changed.any()


def test_a_row_that_is_far_off_hides_no_change_of_the_others(store: Store) -> None:
    rows, seed = np.arange(50), 0
    targets = np.linspace(-1, 1, 50)[:, None]
    targets[7] = 1e5
    runs = []
    for name, error in (("none", 0.5), ("ema", 0.4), ("again", 0.5 + 1e-6)):
        outputs = np.where(targets > 10, 0, targets + error).astype(np.float32)
        one = np.ones(1)
        test = RowOutputs("regression", rows, outputs, targets, ("y",), 0 * one, one)
        write(store.folder / f"{name}.npz", test)
        mean = float(((outputs - targets) ** 2).mean())
        runs.append({seed: (name, mean**0.5)})
    none, *others = runs
    found = by_row([(one, none) for one in others], RowReader(store, "test/rmse"))
    assert found is not None
    assert found.changed.tolist() == [True, False]
    assert found.idle.tolist() == [False, True]


def test_a_run_without_outputs_by_row_leaves_the_scores_alone(store: Store) -> None:
    pairs = family(store)
    assert by_row(pairs, RowReader(store, "test/roc_auc")) is None
    (store.folder / "good1.npz").write_bytes(b"of another version")
    assert by_row(pairs, RowReader(store, "test/accuracy")) is None
    (store.folder / "good1.npz").unlink()
    assert by_row(pairs, RowReader(store, "test/accuracy")) is None


def test_a_seed_of_a_single_row_leaves_the_scores_alone(store: Store) -> None:
    runs = {name: {0: (name, store.put(name, np.array([3]), np.array([])))} for name in "ab"}
    assert by_row([(runs["a"], runs["b"])], RowReader(store, "test/accuracy")) is None
    assert by_row([], RowReader(store, "test/accuracy")) is None


def test_another_thing_of_the_same_name_is_not_taken_apart(store: Store) -> None:
    good, none = family(store)[0]
    other = {seed: (run_id, score + 0.1) for seed, (run_id, score) in good.items()}
    assert by_row([(other, none)], RowReader(store, "test/accuracy")) is None


def test_seeds_that_test_other_rows_are_not_paired_by_row(store: Store) -> None:
    good, none = family(store)[0]
    score = store.put("good0", ROWS[0][::-1].copy(), np.array([5]))
    assert by_row([(good | {0: ("good0", score)}, none)], RowReader(store, "test/accuracy")) is None
