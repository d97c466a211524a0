"""What is compared: which runs count, by what, and what a reader is told."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from regexp.compare import Question, compare
from regexp.compare.answer import answers
from regexp.compare.metric import Metric
from regexp.errors import ConfigError
from regexp.metrics.names import NOISE_FLOOR, NONE_AGAIN
from regexp.tracking.query import frame
from tests.compare.sources import Source, classified, regressed, scored
from tests.compare.sources import compared as of


def answer(*frames: pd.DataFrame) -> str:
    """The answer of one dataset and setting."""
    [(subject, text)], [] = answers(of(*frames))
    assert subject == ""
    return text


def test_a_sweep_is_compared_by_its_task() -> None:
    comparison = of(classified())
    assert comparison.metric == Metric("test/accuracy", lower_is_better=False)
    assert not comparison.regression("digits")
    assert comparison.across is None
    comparison = of(regressed())
    assert comparison.metric == Metric("test/rmse", lower_is_better=True)
    assert comparison.regression("sunspots")
    outcomes = comparison.table.set_index("technique")["outcome"].to_dict()
    assert outcomes == {
        "none": "baseline", "dropout": "helps", "l2": "no evidence", "l1": "hurts",
    }  # fmt: skip


def test_any_metric_may_be_asked_for() -> None:
    comparison = of(classified(), metric="test/loss")
    assert comparison.metric.lower_is_better
    assert comparison.table["outcome"].tolist() == ["baseline", "helps", "no evidence", "hurts"]


@pytest.mark.parametrize(("said", "lower"), [("true", True), ("false", False), (None, False)])
def test_runs_say_which_way_is_better_of_a_metric_of_ones_own(
    said: str | None, lower: bool
) -> None:
    column = "params.trainer.metrics.worth.lower_is_better"
    columns = {"metrics.test/worth": 1.0} | ({} if said is None else {column: said})
    runs = scored({"none": [0.5, 0.6], "l1": [0.7, 0.8]}, **columns)
    compared = compare(Source({"a": runs}), ["a"], Question(metric="test/worth"))
    assert compared.metric == Metric("test/worth", lower_is_better=lower)


@pytest.mark.parametrize(
    ("metric", "first", "second"),
    [("worth", "true", "false"), ("cost", None, "false"), ("worth", "true", None)],
    ids=["two ways", "name and way", "way and name"],
)
def test_sweeps_that_differ_in_which_way_is_better_are_not_compared(
    metric: str, first: str | None, second: str | None
) -> None:
    column = f"params.trainer.metrics.{metric}.lower_is_better"
    sweeps = {
        letter * 32: scored({name: [0.5, 0.6]}, **{f"metrics.test/{metric}": 1.0, column: said})
        for letter, name, said in (("a", "none", first), ("b", "l1", second))
    }
    told = (
        rf"^{re.escape(column.removeprefix('params.'))}: low values of test/{metric} are good ones "
        r"to the runs of (a{8}, and .* b{8}|b{8}, and .* a{8}); compare them apart"
    )
    with pytest.raises(ConfigError, match=told):
        compare(Source(sweeps), list(sweeps), Question(metric=f"test/{metric}"))
    compare(Source(sweeps), list(sweeps))  # by another metric


@pytest.mark.parametrize("matters", [-1.0, float("nan"), float("inf")])
def test_a_least_gain_that_is_none_is_told(matters: float) -> None:
    with pytest.raises(ConfigError, match=r"matters=.*expected a number >= 0"):
        compare(Source({"a": classified()}), ["a"], Question(matters=matters))


def test_an_infinite_loss_of_the_noise_floor_costs_no_comparison() -> None:
    losses = {"none": [0.5, 0.6, 0.4], NOISE_FLOOR: [0.5, np.inf, 0.4], "l1": [0.4, 0.5, 0.3]}
    runs = scored(losses).rename(columns={"metrics.test/accuracy": "metrics.test/loss"})
    floor = runs["technique"] == NOISE_FLOOR
    runs.loc[floor, f"params.regularizer.{NOISE_FLOOR}._target_"] = NONE_AGAIN
    compared = compare(Source({"a": runs}), ["a"], Question(metric="test/loss"))
    assert compared.table.set_index("technique")["outcome"][NOISE_FLOOR] == "noise floor"


def test_a_run_that_has_not_said_what_it_is_changes_no_question() -> None:
    """Just begun, or broken off before its parameters arrived."""
    fixed: dict[str, Any] = {"params.dataset.test_seed": "3", "split": "seed"}
    runs = classified(**fixed)
    whole = compare(Source({"a": runs}), ["a"])
    runs.loc[len(runs) - 1, ["status", "params.dataset.test_seed", "split"]] = [
        "FAILED",
        None,
        None,
    ]
    part = compare(Source({"a": runs}), ["a"])
    said = [[note for note in one.families[0].notes if "other rows" in note.lower()]
            for one in (whole, part)]  # fmt: skip
    assert said[0]
    assert said[0] == said[1]


def test_a_metric_that_nobody_has_is_named() -> None:
    with pytest.raises(ConfigError, match=r"metric=test/acuracy: no .* mean test/accuracy\?"):
        of(classified(), metric="test/acuracy")
    with pytest.raises(ConfigError, match=r"no finished run has it$"):
        of(classified(status="RUNNING"), metric="test/accuracy")


def test_trials_are_kept_apart() -> None:
    trials = classified(stage="tuning")
    comparison = of(pd.concat([classified(), trials], ignore_index=True))
    assert len(comparison.trials) == len(trials)
    [remark] = comparison.remarks
    assert "The verdicts are about what was chosen: another search may choose other" in remark
    assert set(comparison.runs["stage"]) == {""}
    assert comparison.table["runs"].tolist() == [10] * 4


def test_only_what_has_finished_counts_and_the_rest_is_told() -> None:
    runs = classified()
    runs.loc[runs["seed"] == 9, "status"] = "RUNNING"
    runs.loc[runs["seed"] == 8, "status"] = "FAILED"
    comparison = of(runs)
    assert comparison.table["finished"].tolist() == [8] * 4
    assert comparison.table["pairs"].tolist() == [0, 8, 8, 8]
    assert [remark[:12] for remark in comparison.remarks] == ["4 of 40 runs", "4 of 40 runs"]
    assert "have not ended yet" in comparison.remarks[0]
    assert not of(classified()).remarks


def test_remarks_of_the_runs_are_said_once_and_of_many_alike_three() -> None:
    runs = classified()
    runs["remarks"] = [f"iris: 1 repeats\nregularizer.l1: at {seed}" for seed in runs["seed"]]
    assert of(runs).remarks == [
        "iris: 1 repeats", *(f"regularizer.l1: at {seed}" for seed in range(3)),
        "regularizer.l1: 7 more like these, which the runs keep",
    ]  # fmt: skip


def test_a_run_that_a_person_made_below_a_sweep_is_not_compared() -> None:
    mine = classified(techniques=("none",), seeds=1).assign(technique="", label="", seed=-1)
    comparison = of(pd.concat([classified(), mine], ignore_index=True))
    pd.testing.assert_frame_equal(comparison.table, of(classified()).table)


def test_a_sweep_of_which_nothing_has_finished_is_empty() -> None:
    comparison = of(classified(status="RUNNING"))
    assert comparison.table["finished"].sum() == 0
    assert comparison.metric.name == "test/accuracy"
    assert comparison.across is None


def test_a_sweep_without_runs_is_empty() -> None:
    assert of(frame([])).table.empty


def test_old_runs_without_the_new_columns_are_compared() -> None:
    runs = classified().drop(columns=["stage", "split"])
    comparison = of(runs)
    assert comparison.trials.empty
    [family] = comparison.families
    assert "corrected resampled t-test" in family.notes[1]
    assert "20% each" in family.notes[-1]


def test_every_family_has_its_notes() -> None:
    runs = pd.concat([classified("digits", "wine"), classified("iris", split="seed")])
    digits, iris, wine = of(runs.reset_index(drop=True)).families
    assert [family.name for family in (digits, iris, wine)] == ["digits", "iris", "wine"]
    assert (digits.judge.one_split, iris.judge.one_split) == (True, False)
    assert "each of the 3 datasets and settings" in digits.notes[2]
    assert digits.rows["outcome"].tolist() == ["baseline", "helps", "no evidence", "hurts"]
    alone = classified("iris", techniques=("none",))
    digits, iris = of(classified(), alone).families
    assert iris.notes[0].startswith("There is nothing to compare")
    assert "datasets and settings" not in digits.notes[2]


def test_datasets_are_compared_across() -> None:
    comparison = of(classified("digits", "wine", "iris"))
    assert comparison.across is not None
    assert comparison.across.scores.shape == (3, 4)


def test_runs_stand_in_the_order_of_the_table_whenever_they_started() -> None:
    runs = classified("digits", "wine")
    shuffled = runs.sample(frac=1, random_state=0)
    first, second = of(runs), of(shuffled)
    keys = ["dataset", "technique"]
    order = first.runs[keys].drop_duplicates().to_numpy().tolist()
    assert order == first.table[keys].to_numpy().tolist()
    assert first.runs["run_id"].tolist() == second.runs["run_id"].tolist()
    assert len(first.runs) == len(runs)


def test_several_sweeps_are_one_comparison() -> None:
    comparison = of(classified("digits"), classified("wine"))
    assert list(comparison.sweeps) == ["a" * 32, "b" * 32]
    assert comparison.across is not None
    assert set(comparison.runs["sweep"]) == {"a" * 32, "b" * 32}


def test_classification_and_regression_are_not_ranked_together() -> None:
    comparison = of(classified("digits", "wine"), regressed())
    assert comparison.metric.name == "test/loss"
    assert comparison.across is None
    assert [comparison.regression(name) for name in ("digits", "sunspots")] == [False, True]
    assert "no ranks are formed" in comparison.remarks[0]


def test_the_answer_of_one_dataset() -> None:
    text = answer(classified())
    assert re.match(
        r"Use dropout: it helps on this split, \+6\.00 points against none \(95% interval "
        r"\+5\.\d+ to \+6\.\d+, best of all: 99%\), for ×1\.50 the time\. 1 of 3 ",
        text,
    )
    assert (
        "1 hurts on this split: l1 (−5.00 points). There is no evidence either way on 1; a" in text
    )
    anew = answer(classified(split="seed"))
    assert anew.startswith("Use dropout: it helps on this table and on other rows, +6.00 points")
    assert "1 of 3 techniques helps on this table, 1 of them on other rows as well: dropout" in anew


def test_the_answer_when_nothing_helps() -> None:
    runs = classified(techniques=("none", "l2", "sam", "swa"))
    assert answer(runs).startswith(
        "Stay with none: not one of the 3 techniques is shown to help. There is no evidence either "
        "way; differences of "
    )


def test_the_answer_names_what_is_practically_equal_and_where() -> None:
    runs = classified(seeds=10, techniques=("none", "l2", "sam", "swa"), split="seed")
    by_seed = runs.set_index(["technique", "seed"])["metrics.test/accuracy"]
    for row in runs.index[runs["technique"] == "l2"]:
        seed = runs.loc[row, "seed"]
        runs.loc[row, "metrics.test/accuracy"] = by_seed["none", seed] + 0.001 * (-1) ** seed
    assert " Practically equal to none on this table: l2." in answer(runs)


def test_the_answer_when_all_help() -> None:
    runs = classified(techniques=("none", "a", "b", "c"))
    runs.loc[runs["technique"] != "none", "metrics.test/accuracy"] += 0.05
    text = answer(runs)
    assert text.startswith("Use c: it helps on this split, ")
    assert "the largest of several gains flatters itself" in text
    assert ". All 3 help on this split: " in text


def test_a_forecast_is_held_against_the_naive_one() -> None:
    runs = regressed()  # errors of about 0.15, 0.09 with dropout and 0.20 with l1
    runs["metrics.test/skill"] = 1 - runs["metrics.test/rmse"] / 0.18
    means = runs.groupby("technique")["metrics.test/rmse"].mean()
    none, dropout = (1 - means[name] / 0.18 for name in ("none", "dropout"))
    assert answer(runs).endswith(
        "3 of 4 have a mean error below the naive forecast's: "
        f"none {none:.0%} below and dropout, the lowest, {dropout:.0%} below."
    )
    runs["metrics.test/skill"] -= 1
    text = answer(runs)
    assert "0 of 4 have a mean error below the naive forecast's: none 8" in text
    assert text.endswith("% above.")


def test_few_techniques_are_told_with_their_verdicts() -> None:
    runs = classified(techniques=("none", "dropout"))
    assert answer(runs).startswith("Use dropout: it helps on this split, ")
    assert answer(runs).endswith(f" dropout: {of(runs).table['verdict'].iloc[1]}.")
    alone = answer(classified(techniques=("none",)))
    assert alone == "none stands alone: nothing is compared with it."


def test_many_techniques_are_not_all_named() -> None:
    techniques = ("none", *(f"t{index}" for index in range(9)))
    runs = classified(techniques=techniques)
    runs.loc[runs["technique"] != "none", "metrics.test/accuracy"] += 0.05
    assert " and 4 more." in answer(runs)


def test_techniques_without_a_verdict_are_counted() -> None:
    assert answer(classified(seeds=2)) == (
        "Nothing can be said yet: not one of the 3 techniques is shown to help. There is no "
        "verdict on 3; the table tells why."
    )


def test_what_nothing_could_have_shown_is_not_said_to_have_been_seen() -> None:
    """An accuracy cannot differ by more than 100 points."""
    runs = classified(techniques=("none", "l2", "sam", "wild"), seeds=4)
    wild = runs["technique"] == "wild"
    runs.loc[wild, "metrics.test/accuracy"] = [0.0, 1.0] * 2
    assert re.search(
        r"no evidence either way; (a difference|differences) of \S+ .*points,? .*"
        r"would have been seen \(power 80%\), on 1 of them none\.$",
        answer(runs),
    )
    runs = classified(techniques=("none", "w", "x", "y"), seeds=4)
    runs.loc[runs["technique"] != "none", "metrics.test/accuracy"] = [0.0, 1.0] * 6
    assert answer(runs).endswith("no evidence either way; no difference could have been seen.")


def test_what_was_said_of_runs_before_training_is_told_once() -> None:
    runs = classified(remarks="iris: 2 rows repeat")
    runs.loc[runs["technique"] == "l2", "remarks"] = "iris: 2 rows repeat\nl2: too strong"
    assert of(runs).remarks == ["iris: 2 rows repeat", "l2: too strong"]


def test_grids_are_configurations() -> None:
    runs = classified()
    grid = [runs[runs["technique"] == "none"]]
    grid += [runs[runs["technique"] == "l2"].assign(variant=f"x={x}") for x in range(3)]
    runs = pd.concat(grid, ignore_index=True)
    assert answer(runs).startswith("Stay with none: not one of the 3 configurations ")
    [remark] = of(runs).remarks
    assert "the best of them was found on test rows, and flatters it" in remark


def test_a_baseline_with_numbers_of_its_own_is_taken() -> None:
    """Nobody may have it yet: it is `none (tuned)` of a search."""
    runs = classified()
    names = {"none": "tuned", "l2": "recipe"}
    runs = runs[runs["technique"].isin(names)]
    runs = runs.assign(variant=runs["technique"].map(names))
    comparison = of(runs, baseline="none (tuned)")
    [(_, text)], [] = answers(comparison)
    assert text.startswith("Take none (tuned): l2 (recipe) is not shown to help. ")


def test_many_datasets_are_summed_up_first() -> None:
    [across, each], details = answers(of(classified("a", "b", "c", "d")))
    assert [subject for subject, _ in details] == ["a", "b", "c", "d"]
    assert across[0] == "across 4 datasets"
    assert across[1].startswith(
        "Stay with none: no technique is shown to be better or worse; smallest corrected p: 0.12. "
        "The best average rank, 1.0 of 4, is that of dropout; none's is "
    )
    assert each == (
        "on each of 4 datasets and settings",
        "Helps (on the one split, where seeds share one): dropout on 4 of 4. Hurts (on the one "
        "split, where seeds share one): l1 on 4 of 4. Shown to do neither on any: 1 of 3. False "
        "claims are held to 4.5% on each by itself, not over all.",
    )
    [_, each], _ = answers(of(classified("a", "b", "c", "d", split="seed")))
    assert each[1].startswith("Helps on this table: dropout on ")


def test_a_difference_across_datasets_is_told() -> None:
    [(subject, text), _], _ = answers(of(classified(*"abcdefgh")))
    assert subject == "across 8 datasets"
    assert text.startswith(
        "Use dropout: dropout (p = 0.0078) is better than none. l1 (p = 0.0078) is worse than none."
        " The best average "
    )


@pytest.mark.parametrize(
    ("metric", "lower"),
    [
        ("test/accuracy", False),
        ("ensemble/accuracy", False),
        ("test/r2", False),
        ("test/skill", False),
        ("test/loss", True),
        ("final/val_loss", True),
        ("test/rmse", True),
        ("test/rmse_unscaled", True),
        ("final/train_mae", True),
        ("test/brier", True),
        ("test/ece", True),
        ("seconds", True),
        ("final/train_accuracy", False),
    ],
)
def test_what_is_better_is_told_by_the_name(metric: str, lower: bool) -> None:
    runs = classified()
    runs[f"metrics.{metric}"] = 0.5
    assert of(runs, metric=metric).metric == Metric(metric, lower)


def of_rates(**scores: dict[str, float]) -> pd.DataFrame:
    """Runs of techniques at several learning rates: rate -> mean score, of each technique."""
    spread = np.linspace(-0.01, 0.01, 6)
    frames = []
    for rate in ("0.01", "3.0"):
        of_rate = {name: list(means[rate] + spread * (1 + 0.1 * at))
                   for at, (name, means) in enumerate(scores.items())}  # fmt: skip
        frame = scored(of_rate)
        frame["variant"] = f"lr={rate}"
        frame["label"] = frame["technique"] + f" (lr={rate})"
        frame["run_id"] += rate
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def test_of_techniques_with_baselines_of_their_own_the_best_score_is_used_and_not_the_largest_gain(
) -> None:  # fmt: skip
    runs = of_rates(none={"0.01": 0.84, "3.0": 0.10}, batch_norm={"0.01": 0.93, "3.0": 0.52})
    compared = of(runs)
    assert answer(runs).startswith("Use batch_norm (lr=0.01): it helps on this table")
    assert "best of all" not in answer(runs)
    assert compared.table["p_best"].isna().all()


def test_a_baseline_that_is_better_than_all_that_helps_others_is_taken() -> None:
    runs = of_rates(none={"0.01": 0.84, "3.0": 0.10}, l1={"0.01": 0.80, "3.0": 0.52})
    assert answer(runs).startswith(
        "Take none (lr=0.01): what helps none at other numbers does not come to its mean, not even "
        "l1 (lr=3.0), the best of them."
    )


@pytest.mark.parametrize("gain", [0.0, 0.012])
def test_a_baseline_that_is_better_than_what_may_help_others_is_taken(gain: float) -> None:
    runs = of_rates(none={"0.01": 0.84, "3.0": 0.10}, l1={"0.01": 0.80, "3.0": 0.10})
    swing = np.where(runs["seed"] % 2, 0.012, -0.012) + gain
    runs["metrics.test/accuracy"] += swing * runs["label"].eq("l1 (lr=3.0)")
    outcome = of(runs).table.set_index("label")["outcome"]["l1 (lr=3.0)"]
    assert outcome == ("probably helps" if gain else "no evidence")
    assert answer(runs).startswith("Take none (lr=0.01): not one of the 2 configurations is shown")


@pytest.mark.parametrize(("best", "use"), [("none", "Take none (lr=0.1): "), ("l1", "Use l1 (")])
def test_across_datasets_what_is_worse_is_never_recommended(best: str, use: str) -> None:
    """Of two rates; dropout ranks well, and is worse than the baseline of its own rate."""
    means = {
        ("none", "0.1"): 0.95, ("dropout", "0.1"): 0.93, ("l1", "0.1"): 0.91,
        ("none", "0.001"): 0.60, ("dropout", "0.001"): 0.58, ("l1", "0.001"): 0.70,
    }  # fmt: skip
    if best == "l1":
        means["l1", "0.001"] = 0.97
    frames = []
    for place, dataset in enumerate("abcdefgh"):
        for (technique, rate), mean in means.items():
            score = mean + 0.001 * place * (1 + (technique != "none"))
            scores = {technique: [score - 0.001, score + 0.001]}
            frames.append(scored(scores, dataset=dataset, variant=f"lr={rate}"))
    runs = pd.concat(frames, ignore_index=True)
    runs["run_id"] = [f"run{place}" for place in range(len(runs))]
    runs["label"] = runs["technique"] + " (" + runs["variant"] + ")"
    (_, text), *_ = answers(of(runs))[0]
    assert text.startswith(f"{use}l1 (lr=0.001) (p" if best == "none" else use)
    assert "(p = 0.0078) are worse than none" in text or "is worse than none" in text


def test_what_matters_of_an_error_is_a_share_of_the_smallest_baseline() -> None:
    runs = of_rates(none={"0.01": 0.474, "3.0": 100.0}, l2={"0.01": 0.348, "3.0": 100.1})
    runs["metrics.test/rmse"] = runs.pop("metrics.test/accuracy")
    [family] = of(runs, metric="test/rmse").families
    assert family.judge.matters == pytest.approx(0.00474)
    outcomes = family.rows.set_index("label")["outcome"]
    assert outcomes["l2 (lr=0.01)"] == "helps"
