import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regexp.compare import table
from regexp.compare.baseline import Baseline, Key, parts_of
from regexp.compare.metric import Metric, metric_of
from regexp.compare.show import best_row
from regexp.tracking.query import frame
from tests.compare.sources import make_runs, scored


def row(compared: pd.DataFrame, label: str) -> pd.Series:
    return compared[compared["label"] == label].iloc[0]


def test_statistics_agree_with_numpy() -> None:
    scores = {"none": [0.80, 0.84, 0.79], "l1": [0.85, 0.83, 0.88]}
    runs = scored(scores)
    runs["metrics.epochs"] = 10.0 * runs["seed"]
    compared = table(runs)
    for name, values in scores.items():
        assert row(compared, name)["mean"] == pytest.approx(np.mean(values), rel=1e-12)
        assert row(compared, name)["std"] == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert row(compared, name)["epochs"] == 10.0
    difference = np.mean(np.subtract(scores["l1"], scores["none"]))
    assert row(compared, "l1")["difference"] == pytest.approx(difference, rel=1e-12)
    assert row(compared, "l1")["pairs"] == 3
    assert math.isnan(row(compared, "none")["difference"])


def test_difference_is_paired_by_seed_and_uses_common_seeds_only() -> None:
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


def test_the_loss_is_the_log_loss_whatever_runs_are_trained_on() -> None:
    runs = scored({"none": [0.8, 0.8], "l1": [0.9, 0.9]})
    runs["metrics.test/loss"] = [0.5, 0.5, 7.0, 7.0]
    runs["metrics.test/log_loss"] = [math.nan, math.nan, 0.4, 0.2]  # earlier versions had none
    runs["params.trainer.loss._target_"] = [None, None, "my.loss", "my.loss"]
    assert row(table(runs), "none")["loss"] == 0.5
    assert row(table(runs), "l1")["loss"] == pytest.approx(0.3)


def test_failed_runs_are_counted_and_left_out() -> None:
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


def test_run_that_was_started_again_counts_once() -> None:
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


def test_numbers_of_a_grid_and_datasets_are_rows_of_their_own() -> None:
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


def test_baseline_of_a_grid_is_the_one_with_the_same_numbers() -> None:
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
def test_baseline_comes_first_then_the_best(lower: bool, order: list[str]) -> None:
    runs = scored({"a": [0.1], "none": [0.5], "b": [0.9]})
    assert table(runs, Metric("test/accuracy", lower))["technique"].tolist() == order


def test_rows_are_ordered_as_at_the_seeds_of_the_baseline() -> None:
    """A technique that was stopped early has seeds that happen to be easy."""
    easy, hard = [0.9, 0.91, 0.9, 0.89], [0.8, 0.81, 0.79, 0.8]
    runs = scored({"none": easy + hard, "l1": [x - 0.01 for x in easy],
                   "l2": [x + 0.01 for x in easy + hard]})  # fmt: skip
    found = table(runs)
    assert found["technique"].tolist() == ["none", "l2", "l1"]
    assert row(found, "l1")["mean"] > row(found, "l2")["mean"]
    assert row(found, "l1")["adjusted_mean"] == pytest.approx(0.85 - 0.01)
    assert best_row(found, lower_is_better=False) == 1


def test_validation_loss_is_that_of_the_final_weights() -> None:
    runs = scored({"none": [0.5]}, **{"metrics.val/loss": 9.0})
    assert table(runs)["validation_loss"].tolist() == [0.5]
    runs = runs.drop(columns="metrics.final/val_loss")
    assert table(runs)["validation_loss"].tolist() == [9.0]


def test_metric_that_nobody_recorded() -> None:
    compared = table(scored({"none": [0.5]}), Metric("test/rmse"))
    assert compared["mean"].isna().all()
    assert compared["finished"].tolist() == [1]


def test_no_runs_give_an_empty_table() -> None:
    assert table(frame([])).empty


SCORES = {
    "none": [0.80, 0.84, 0.79, 0.81, 0.83],
    "l1": [0.85, 0.88, 0.85, 0.84, 0.89],
    "l2": [0.80, 0.85, 0.77, 0.82, 0.82],
    "sam": [0.70, 0.75, 0.71, 0.69, 0.75],
}


def family(scores: Mapping[str, Sequence[float]] = SCORES, **columns: Any) -> pd.DataFrame:
    return scored(scores, **columns)


def test_one_split_is_tested_by_the_paired_t_test() -> None:
    few = table(family({name: SCORES[name] for name in ("none", "l1", "l2")}, split="shared"))
    p = {n: stats.ttest_rel(SCORES[n], SCORES["none"]).pvalue for n in ("l1", "l2")}
    for name in p:
        assert row(few, name)["p"] == pytest.approx(p[name])
        interval = stats.ttest_rel(SCORES[name], SCORES["none"]).confidence_interval(0.95)
        assert row(few, name)[["low", "high"]].tolist() == pytest.approx(list(interval))
    assert row(few, "l1")["p_corrected"] == pytest.approx(2 * p["l1"])
    compared = table(family(split="shared"))
    assert row(compared, "l1")["verdict"].startswith("helps on this split: ")
    assert math.isnan(row(compared, "l1")["rows_p"])
    assert compared["outcome"].tolist() == ["baseline", "helps", "no evidence", "hurts"]


def test_splits_by_seed_without_scores_by_row_have_the_corrected_test_for_other_rows() -> None:
    runs = family(split="seed")
    runs[["params.dataset.test", "params.dataset.validation"]] = ["0.25", "0.15"]
    compared = table(runs[runs["technique"] != "sam"])  # two have nothing to learn from each other
    difference = np.subtract(SCORES["l1"], SCORES["none"])
    variance = (1 / 5 + 0.25 / 0.6) * difference.var(ddof=1)
    t = difference.mean() / math.sqrt(variance)
    assert row(compared, "l1")["rows_p"] == pytest.approx(2 * stats.t.sf(abs(t), 4))
    assert row(compared, "l1")["rows_error"] == pytest.approx(math.sqrt(variance))
    assert row(compared, "l1")["p"] == pytest.approx(stats.ttest_1samp(difference, 0).pvalue)
    assert row(compared, "l1")["verdict"].startswith("helps on this table: ")


def test_families_are_corrected_by_themselves() -> None:
    one = family(split="shared")
    both = pd.concat([one, family(split="shared", dataset="wine")], ignore_index=True)
    alone, together = table(one), table(both)
    for dataset in ("digits", "wine"):
        part = together[together["dataset"] == dataset]
        assert part["p_corrected"].tolist() == pytest.approx(
            alone["p_corrected"].tolist(), nan_ok=True
        )


def test_settings_are_in_the_order_of_their_numbers() -> None:
    sizes = ("1000", "50", "1e-3", "200", "0.5")
    runs = pd.concat([family(setting=f"lr={size}") for size in sizes])
    found = table(runs.reset_index(drop=True))["setting"].unique()
    assert found.tolist() == ["lr=1e-3", "lr=0.5", "lr=50", "lr=200", "lr=1000"]


def test_runs_that_were_started_in_another_order_give_the_same_bits() -> None:
    scores = {
        name: np.random.default_rng(seed).uniform(size=11).tolist()
        for seed, name in enumerate(("none", "l1", "l2"))
    }
    runs = family(scores)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(runs))
        other = runs.iloc[order].reset_index(drop=True).assign(start_time=range(len(runs)))
        pd.testing.assert_frame_equal(table(other), table(runs), check_exact=True)


@pytest.mark.parametrize("order", ["nbca", "acbn"])
def test_equal_techniques_stand_in_one_order_whatever_ended_first(order: str) -> None:
    runs = scored({{"n": "none"}.get(name, name): [0.5] for name in order})
    assert table(runs)["label"].tolist() == ["none", "a", "b", "c"]


def test_seeds_without_a_score_of_both_are_counted() -> None:
    runs = family(split="shared")
    lost = (runs["technique"] == "none") & (runs["seed"] == 4)
    runs.loc[lost, "status"] = "FAILED"
    runs.loc[lost, "metrics.test/accuracy"] = 0.1
    compared = row(table(runs), "l1")
    assert compared[["pairs", "missing"]].tolist() == [4, 1]
    difference = np.subtract(SCORES["l1"], SCORES["none"])[:4]
    assert compared["difference"] == pytest.approx(difference.mean())
    assert compared["verdict"].endswith("left out: 1 seed without a score of both")


def test_trials_of_a_search_are_left_out() -> None:
    runs = family()
    trials = family({"none": [0.1] * 5, "l1": [0.99] * 5}, stage="tuning")
    compared = table(pd.concat([runs.assign(stage=""), trials], ignore_index=True))
    pd.testing.assert_frame_equal(compared, table(runs))


def test_baseline_is_no_comparison() -> None:
    none = row(table(family()), "none")
    assert none[["outcome", "verdict", "pairs", "missing"]].tolist() == ["baseline", "", 0, 0]
    assert none[["difference", "p", "low", "improvement", "detectable"]].isna().all()
    assert none["relative_seconds"] == 1.0


def test_technique_without_a_baseline_has_no_verdict() -> None:
    compared = row(table(family({"l1": SCORES["l1"]})), "l1")
    assert compared["outcome"] == "no verdict"
    assert compared["verdict"] == "no verdict: no run of none to compare it with"
    assert compared[["pairs", "missing"]].tolist() == [0, 0]


def test_variants_are_tested_against_their_own_baseline() -> None:
    runs = pd.concat(
        [
            family({"none": SCORES["none"]}, split="shared", variant="lr=1"),
            family({"none": SCORES["l2"]}, split="shared", variant="lr=2"),
            family({"l1": SCORES["l1"]}, split="shared", variant="lr=2"),
        ],
        ignore_index=True,
    )
    expected = stats.ttest_rel(SCORES["l1"], SCORES["l2"]).pvalue
    assert row(table(runs), "l1 (lr=2)")["p"] == pytest.approx(expected)


def test_gap_and_further_scores() -> None:
    runs = scored({"none": [0.8, 0.9]}, **{"metrics.final/train_accuracy": 0.95})
    runs["metrics.test/loss"] = [0.5, 1.5]
    runs["metrics.test/brier"] = [0.2, 0.21]
    runs["metrics.test/ece"] = [0.0, 0.1]
    compared = table(runs).iloc[0]
    assert compared["gap"] == pytest.approx(0.1)
    assert compared[["loss", "brier", "ece"]].tolist() == pytest.approx([1.0, 0.205, 0.05])
    spreads = compared[["loss_std", "brier_std", "ece_std"]].tolist()
    assert spreads == pytest.approx([size / math.sqrt(2) for size in (1.0, 0.01, 0.1)])


def test_gap_of_regression_is_of_errors() -> None:
    errors = {"metrics.test/rmse": 0.7, "metrics.final/train_rmse": 0.5}
    runs = make_runs([{"technique": "none", "seed": 0, **errors}])
    compared = table(runs, metric_of("test/rmse")).iloc[0]
    assert compared["gap"] == pytest.approx(0.2)
    assert math.isnan(compared["brier"])


def test_relative_seconds_are_of_pairs() -> None:
    seconds = {"none": [1.0, 2.0, 5.0], "l1": [3.0, 3.0]}
    runs = scored(seconds)
    runs["metrics.seconds"] = runs["metrics.test/accuracy"]
    assert row(table(runs), "l1")["relative_seconds"] == pytest.approx((3 / 1 + 3 / 2) / 2)


def test_scores_that_are_no_numbers_are_told() -> None:
    runs = family({"none": SCORES["none"], "l1": [math.inf, *SCORES["l1"][1:]]})
    compared = row(table(runs, Metric("test/accuracy", lower_is_better=True)), "l1")
    assert compared["outcome"] == "no verdict"
    assert "infinite at 1 seed" in compared["verdict"]


def test_numbers_of_a_baseline_are_whole_where_they_are_lists() -> None:
    key = ("d", "", "l1", "hidden=[64, 64, 64], strength=0.1")
    others: list[Key] = [("d", "", "none", "hidden=[64, 64]"), ("d", "", "none", "lr=0.1")]
    assert Baseline().of(key, others) is None
    same = ("d", "", "none", "hidden=[64, 64, 64]")
    assert Baseline().of(key, [*others, same]) == same
    assert parts_of("lr=0.1, hidden=[8, 8], sweep 0a1b2c3d") == [
        "lr=0.1", "hidden=[8, 8]", "sweep 0a1b2c3d",
    ]  # fmt: skip
