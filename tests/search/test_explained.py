"""What a technique carries, in words: signs, units, and planted techniques that are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.explained import shares as planted
from regexp.compare.baseline import Baseline
from regexp.compare.metric import Metric
from regexp.compare.table import tabulate
from regexp.compare.verdict import Judge
from regexp.search.explained import Share, sentences, shares_of, worth_of

SEEDS = 6


def judged(metric: Metric, **scores: tuple[str, float]) -> tuple[pd.DataFrame, Judge]:
    """The comparison of a cocktail "a+b" with others: label -> (technique, score)."""
    draws = np.random.default_rng(0)
    runs = [
        {"technique": technique, "variant": variant.replace("_", " "), "dataset": "d",
         "setting": "", "status": "FINISHED", "start_time": 0, "seed": seed,
         "run_id": f"{variant}{seed}", f"metrics.{metric.name}": score + draws.normal(0, 0.001)}
        for variant, (technique, score) in scores.items() for seed in range(SEEDS)
    ]  # fmt: skip
    table, tested = tabulate(pd.DataFrame(runs), metric, Baseline("a+b", "whole"))
    [family] = tested.values()
    return table, family.judge


def test_what_hurts_to_leave_out_carries_and_what_helps_harms() -> None:
    rows, judge = judged(
        Metric("test/accuracy"), whole=("a+b", 0.9), without_a=("b", 0.88), without_b=("a", 0.92),
        tuned=("none", 0.87),
    )  # fmt: skip
    none, a, b = shares_of(rows, judge)
    assert [(one.name, one.word) for one in (none, a, b)] == [
        ("none", "carries"), ("a", "carries"), ("b", "harms")
    ]  # fmt: skip
    first, second, last = sentences([none, a, b], judge)
    row = rows.set_index("variant").loc["without a"]
    assert float(a.gain) == pytest.approx(-100 * row["difference"], abs=0.05)
    low, high = map(float, a.interval.split(" to "))
    assert low == pytest.approx(-100 * row["high"], abs=0.06)
    assert high == pytest.approx(-100 * row["low"], abs=0.06)
    assert first == (
        f"a carries {a.gain} points (95% interval {a.interval}) of the {none.gain} that the whole "
        "has over none."
    )
    assert second.startswith("b harms: −1.9")
    assert last.startswith("They need not add up")


def test_of_a_loss_what_is_lower_without_harms() -> None:
    rows, judge = judged(
        Metric("test/loss", lower_is_better=True),
        whole=("a+b", 0.5), without_a=("b", 0.6), without_b=("a", 0.4),
    )  # fmt: skip
    a, b = shares_of(rows, judge)
    assert (a.name, a.word, b.name, b.word) == ("a", "carries", "b", "harms")
    assert float(a.gain) == pytest.approx(0.1, abs=0.002)
    assert b.gain.startswith("−0.1")


@pytest.mark.parametrize(
    ("outcome", "matters", "word"),
    [
        ("probably hurts", 0.001, "probably carries"),
        ("probably hurts", 0.02, "little, if anything"),
        ("probably helps", 0.02, "little, if anything"),
        ("hurts", 0.02, "carries"),  # shown, however small
        ("did nothing", 0.02, "changes no score"),
        ("no evidence", 0.001, "nothing that is seen"),
    ],
)
def test_a_probable_effect_that_does_not_matter_is_little(
    outcome: str, matters: float, word: str
) -> None:
    row = {"variant": "without a", "technique": "b", "outcome": outcome, "difference": -0.01,
           "low": -0.03, "high": 0.01}  # fmt: skip
    [share] = shares_of(pd.DataFrame([row]), Judge(Metric("test/accuracy"), matters=matters))
    assert share.word == word


@pytest.mark.parametrize(
    ("metric", "score", "word", "size"),
    [
        (Metric("test/accuracy"), 0.88, "it is worse than the whole; stay with that", -2.0),
        (Metric("test/accuracy"), 0.9, "it is as good as the whole", 0.0),
        (Metric("test/loss", lower_is_better=True), 0.8, "it is better than the whole", 0.1),
    ],
)
def test_the_worth_of_a_smaller_one_is_its_gain_over_the_whole(
    metric: Metric, score: float, word: str, size: float
) -> None:
    rows, judge = judged(metric, whole=("a+b", 0.9), smaller=("a", score))
    said, _, number = worth_of(rows, judge, "smaller").partition(": ")
    assert said == word
    assert float(number.split()[0].replace("−", "-")) == pytest.approx(
        size, abs=0.2 * abs(size) + 0.1
    )


def test_a_sentence_ends_where_nothing_is_known() -> None:
    judge = Judge(Metric("test/accuracy"))
    assert sentences([Share("a", "no verdict", "+1", "–")], judge) == ["a: no verdict."]
    assert not shares_of(judged(judge.metric, whole=("a+b", 0.9))[0], judge)


def test_planted_useless_and_harmful_techniques_are_named() -> None:
    """At a paired spread of half a point and 10 seeds; benchmarks/README.md has other sizes."""
    found = planted(seeds=10, spread=0.5, cases=20)
    assert min(found.values()) >= 0.8, found
