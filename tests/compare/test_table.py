import math
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from regexp.compare import table

MakeRuns = Callable[..., pd.DataFrame]


def row(compared: pd.DataFrame, label: str) -> pd.Series:
    return compared[compared["label"] == label].iloc[0]


def test_statistics_agree_with_numpy(make_runs: MakeRuns) -> None:
    scores = {"none": [0.80, 0.84, 0.79], "l1": [0.85, 0.83, 0.88]}
    runs = make_runs(
        [
            {"technique": name, "seed": seed, "score": value, "metrics.epochs": 10.0 * seed}
            for name, values in scores.items()
            for seed, value in enumerate(values)
        ]
    )
    compared = table(runs)
    for name, values in scores.items():
        assert row(compared, name)["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert row(compared, name)["std"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert row(compared, name)["epochs"] == 10.0
    difference = np.mean(np.subtract(scores["l1"], scores["none"]))
    assert row(compared, "l1")["difference"] == pytest.approx(difference, rel=1e-12)
    assert row(compared, "l1")["pairs"] == 3
    assert row(compared, "none")["difference"] == 0.0


def test_difference_is_paired_by_seed_and_uses_common_seeds_only(make_runs: MakeRuns) -> None:
    runs = make_runs(
        [
            {"technique": "none", "seed": 0, "score": 0.1},
            {"technique": "none", "seed": 1, "score": 0.5},
            # Another order, and without a partner for seed 2: means alone would differ by 0.4.
            {"technique": "l1", "seed": 2, "score": 0.9},
            {"technique": "l1", "seed": 1, "score": 0.6},
        ]
    )
    compared = row(table(runs), "l1")
    assert compared["difference"] == pytest.approx(0.1)
    assert compared["pairs"] == 1


def test_failed_runs_are_counted_and_left_out(make_runs: MakeRuns) -> None:
    runs = make_runs(
        [
            {"technique": "none", "seed": 0, "score": 0.8},
            {"technique": "none", "seed": 1, "score": 0.1, "status": "FAILED"},
            {"technique": "l1", "seed": 0, "score": None, "status": "RUNNING"},
        ]
    )
    compared = table(runs)
    assert row(compared, "none")[["finished", "runs", "mean"]].tolist() == [1, 2, 0.8]
    assert math.isnan(row(compared, "none")["std"])
    assert row(compared, "l1")[["finished", "runs", "pairs"]].tolist() == [0, 1, 0]
    assert math.isnan(row(compared, "l1")["mean"])


def test_run_that_was_started_again_counts_once(make_runs: MakeRuns) -> None:
    runs = make_runs(
        [
            {"technique": "none", "seed": 0, "score": 0.7},
            {"technique": "none", "seed": 0, "score": 0.8},  # after a change of the code
            {"technique": "none", "seed": 0, "score": None, "status": "FAILED"},
            {"technique": "none", "seed": 1, "score": None, "status": "FAILED"},
            {"technique": "none", "seed": 1, "score": 0.6},
        ]
    )
    compared = row(table(runs), "none")
    assert compared[["finished", "runs", "mean"]].tolist() == [2, 2, 0.7]


def test_numbers_of_a_grid_and_datasets_are_rows_of_their_own(make_runs: MakeRuns) -> None:
    runs = make_runs(
        [
            {"technique": "none", "seed": 0, "score": 0.5},
            {"technique": "l1", "seed": 0, "score": 0.6, "variant": "strength=0.001"},
            {"technique": "l1", "seed": 0, "score": 0.7, "variant": "strength=0.01"},
            {"technique": "none", "seed": 0, "score": 0.1, "dataset": "wine"},
            {"technique": "l1", "seed": 0, "score": 0.2, "setting": "optimizer=sgd"},
        ]
    )
    compared = table(runs)
    assert len(compared) == 5
    assert row(compared, "l1 (strength=0.01)")["difference"] == pytest.approx(0.2)
    alone = compared[compared["setting"] == "optimizer=sgd"].iloc[0]
    assert math.isnan(alone["difference"])


def test_baseline_of_a_grid_is_the_one_with_the_same_numbers(make_runs: MakeRuns) -> None:
    runs = make_runs(
        [
            {"technique": "none", "seed": 0, "score": 0.5, "variant": "lr=0.1"},
            {"technique": "none", "seed": 0, "score": 0.3, "variant": "lr=0.01"},
            {"technique": "l1", "seed": 0, "score": 0.6, "variant": "lr=0.01, strength=1"},
            {"technique": "l2", "seed": 0, "score": 0.6, "variant": "lr=1"},
        ]
    )
    compared = table(runs)
    assert row(compared, "l1 (lr=0.01, strength=1)")["difference"] == pytest.approx(0.3)
    assert math.isnan(row(compared, "l2 (lr=1)")["difference"])


@pytest.mark.parametrize(
    ("lower", "order"), [(False, ["none", "b", "a"]), (True, ["none", "a", "b"])]
)
def test_baseline_comes_first_then_the_best(
    make_runs: MakeRuns, lower: bool, order: list[str]
) -> None:
    runs = make_runs(
        [
            {"technique": "a", "seed": 0, "score": 0.1},
            {"technique": "none", "seed": 0, "score": 0.5},
            {"technique": "b", "seed": 0, "score": 0.9},
        ]
    )
    compared = table(runs, lower_is_better=lower)
    assert compared["technique"].tolist() == order
    assert compared.attrs == {"metric": "test/accuracy", "lower_is_better": lower}


def test_validation_loss_is_that_of_the_final_weights(make_runs: MakeRuns) -> None:
    runs = make_runs([{"technique": "none", "seed": 0, "score": 0.5, "metrics.val/loss": 9.0}])
    assert table(runs)["validation_loss"].tolist() == [0.5]
    runs = runs.drop(columns="metrics.final/val_loss")
    assert table(runs)["validation_loss"].tolist() == [9.0]


def test_metric_that_nobody_recorded(make_runs: MakeRuns) -> None:
    runs = make_runs([{"technique": "none", "seed": 0, "score": 0.5}])
    compared = table(runs, "test/rmse")
    assert compared["mean"].isna().all()
    assert compared["finished"].tolist() == [1]


def test_no_runs_give_an_empty_table() -> None:
    from regexp.tracking.query import frame

    compared = table(frame([]))
    assert compared.empty
