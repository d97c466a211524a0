"""Rows of yardsticks: numbers by hand and by scipy, and verdicts that do not know of them."""

import math
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regexp import dataset
from regexp.compare import html, markdown
from regexp.compare.document import document
from regexp.compare.report import table_csv
from regexp.compare.yardsticks import PLACES
from regexp.dataset.base import Dataset
from regexp.metrics.names import YARDSTICK_STAGE
from tests.compare.sources import TECHNIQUES, classified, compared, make_runs, scored

NONE = (0.80, 0.82, 0.85, 0.81)
LINEAR = (0.78, 0.83, 0.80, 0.80)


def sticks(scores: dict[str, Sequence[float]], **columns: object) -> pd.DataFrame:
    """Runs of yardsticks, as a sweep has them below its techniques."""
    return scored(scores, stage=YARDSTICK_STAGE, split="shared", **columns)


def below(runs: pd.DataFrame, *others: pd.DataFrame) -> pd.DataFrame:
    """One sweep's runs; each has its own id."""
    both = pd.concat([runs, *others], ignore_index=True)
    return both.assign(run_id=[f"run{number}" for number in range(len(both))])


def test_a_yardstick_is_held_against_none_at_equal_seeds() -> None:
    runs = below(scored({"none": NONE, "l1": NONE}, split="shared", stage=""),
                 sticks({"logistic_regression": LINEAR}))  # fmt: skip
    [family] = compared(runs).families
    [row] = family.yardsticks.to_dict("records")
    difference = np.subtract(LINEAR, NONE)
    low, high = stats.ttest_1samp(difference, 0).confidence_interval()
    assert row["mean"] == pytest.approx(np.mean(LINEAR))
    assert row["std"] == pytest.approx(np.std(LINEAR, ddof=1))
    assert row["difference"] == pytest.approx(difference.mean())
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["improvement"] == 0.25
    assert row["outcome"] == "yardstick"
    assert math.isnan(row["p_corrected"])


def test_a_technique_may_have_the_name_of_a_yardstick() -> None:
    runs = below(scored({"none": NONE, "ridge": NONE}, split="shared", stage=""),
                 sticks({"ridge": LINEAR}))  # fmt: skip
    [family] = compared(runs).families
    [row] = family.yardsticks.to_dict("records")
    assert (row["runs"], row["mean"]) == (4, pytest.approx(np.mean(LINEAR)))
    assert row["difference"] == pytest.approx(np.subtract(LINEAR, NONE).mean())
    [technique] = family.rows[family.rows["technique"] == "ridge"].to_dict("records")
    assert technique["difference"] == 0


def test_verdicts_and_ranks_do_not_know_of_yardsticks() -> None:
    runs = classified("digits", "wine")
    extra = [
        sticks(
            {"majority": [0.1] * 10, "ridge": [0.7 + 0.03 * seed for seed in range(10)]},
            dataset=dataset,
        )
        for dataset in ("digits", "wine")
    ]
    without, found = compared(runs), compared(below(runs, *extra))
    pd.testing.assert_frame_equal(found.table, without.table)
    assert found.across is not None
    assert without.across is not None
    pd.testing.assert_frame_equal(found.across.ranks, without.across.ranks)
    pd.testing.assert_frame_equal(found.across.tested, without.across.tested)
    assert len(found.runs) == len(without.runs)
    assert [list(family.yardsticks["label"]) for family in found.families] == [
        ["majority", "ridge"]
    ] * 2


def test_every_form_of_the_table_has_them_below_the_techniques() -> None:
    found = compared(below(classified(), sticks({"majority": [0.1] * 10})))
    told = document(found)
    [family] = told.families
    last = [column.cells[-1] for column in family.verdicts]
    assert last[0] == "majority"
    assert family.outcomes[-1] == "yardstick"
    assert "yardstick: the shares of the classes" in last[-1]
    csv = table_csv(found).splitlines()
    assert len(csv) == 1 + len(TECHNIQUES) + 1
    assert ",majority," in csv[-1]
    page = html.page(told)
    assert page.count('<tbody class="yardsticks">') == 3  # verdicts, tests, and scores and costs
    assert "| majority | 10.0" in markdown.page(told)


def test_a_yardstick_far_away_does_not_flatten_the_intervals() -> None:
    near, far = (0.01, 0.02, 0.03), (-0.9, -0.8, -0.7)
    [alone] = html.drawn([near])
    drawn = html.drawn([near, far], ["helps", "yardstick"])
    assert drawn[0] == alone
    assert drawn[1] is not None
    assert drawn[1].out


def test_places_are_those_of_all_datasets() -> None:
    modules = [
        import_module(one.name) for one in iter_modules(dataset.__path__, f"{dataset.__name__}.")
    ]
    kinds = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    places = {place for kind in kinds if issubclass(kind, Dataset) for place in kind.PLACES}
    assert places == PLACES


def test_they_stand_with_runs_of_the_same_data_whatever_else_varies() -> None:
    runs = [
        scored({"none": NONE, "l1": LINEAR}, dataset="d", setting=f"train_size={n}, optimizer={o}",
               split="shared", stage="", **{"params.dataset.train_size": n,
                                            "params.dataset.path": f"./{o}.csv"})
        for n in ("50", "100") for o in ("sgd", "adam")
    ]  # fmt: skip
    extra = [
        sticks({"mean": [score] * 4}, dataset="d",
               **{"params.dataset.train_size": n, "params.dataset.path": "/elsewhere.csv"})
        for n, score in (("50", 0.1), ("100", 0.2))
    ]  # fmt: skip
    found = compared(below(*runs, *extra))
    means = {family.setting: family.yardsticks["mean"].tolist() for family in found.families}
    assert means == {
        f"train_size={n}, optimizer={o}": [pytest.approx(score)]
        for n, score in (("50", 0.1), ("100", 0.2)) for o in ("sgd", "adam")
    }  # fmt: skip


def test_a_yardstick_that_failed_has_no_score() -> None:
    broken = sticks({"ridge": [0.5] * 4}, status="FAILED")
    [family] = compared(below(scored({"none": NONE}, stage=""), broken)).families
    assert family.yardsticks["finished"].tolist() == [0]
    assert family.yardsticks["mean"].isna().all()


def test_scores_that_are_a_guess_are_told() -> None:
    guess = [0.95, 0.94, 0.95, 0.95]
    balanced = {"metrics.test/balanced_accuracy": 0.5}
    runs = scored({"none": guess, "l1": guess, "l2": NONE}, stage="", **balanced)
    found = compared(below(runs, sticks({"majority": guess}, **balanced)))
    [line] = found.findings
    assert line.startswith("2 of 3 rows score at every seed as the yardstick majority does")
    assert "test/accuracy 0.9475 in the mean" in line
    assert line.endswith("compare.metric=test/balanced_accuracy counts all classes alike.")
    assert line in found.remarks
    both = below(runs, sticks({"majority": guess}, **balanced))
    [line] = compared(both, metric="test/balanced_accuracy").findings
    assert line.startswith("All 3 rows score")
    assert "trainer.class_weight=balanced" in line


@pytest.mark.parametrize(
    ("scores", "metric"),
    [
        ({"none": NONE, "l1": [0.95] * 4, "l2": LINEAR}, "test/accuracy"),  # a few are no finding
        ({"none": [0.95, 0.95, 0.95, 0.9], "l1": NONE}, "test/accuracy"),  # not at every seed
    ],
)
def test_scores_that_say_something_are_not_called_a_guess(
    scores: dict[str, Sequence[float]], metric: str
) -> None:
    runs = below(scored(scores, stage=""), sticks({"majority": [0.95] * 4}))
    assert compared(runs, metric=metric).findings == []


def test_sweeps_without_yardsticks_say_nothing_of_them() -> None:
    found = compared(make_runs([{"technique": "none", "seed": 0, "score": 0.5}]))
    assert found.findings == []
    assert found.shown is found.table
    assert not any("Yardsticks" in line for line in found.remarks)
