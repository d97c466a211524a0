"""A paper's claims on made-up runs: held against scipy's t-tests, and its binomial distribution."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from regexp.compare.claims import NOT_SHOWN, OTHER, SAME, Finding, claims_of, columns_of, evaluate
from regexp.errors import ConfigError
from tests.compare.sources import make_runs

METRIC = "test/accuracy"
RNG = np.random.default_rng(0)
BASE = RNG.normal(0.80, 0.02, 10)
WIDE = BASE + RNG.normal(0.05, 0.01, 10)
ALIKE = BASE + RNG.normal(0, 0.003, 10)
SCORES = {("none", 8): BASE, ("none", 64): WIDE, ("l2", 8): ALIKE, ("l2", 64): WIDE + 0.05 - BASE}


def runs_of(scores: Any = None) -> pd.DataFrame:
    return make_runs(
        [
            {
                "technique": technique,
                "seed": seed,
                "score": score,
                "setting": f"model.width={width}",
                "params.model.hidden": f"[{width}]",
                "params.model.width": f"{width}.0",
                "params.regularizer.l2.p.from": "0.1" if technique == "l2" else None,
            }
            for (technique, width), values in (scores or SCORES).items()
            for seed, score in enumerate(values)
        ]
    )


def claim(**given: Any) -> dict[str, Any]:
    return {
        "paper": "accuracy 90% against 85% (Table 1)",
        "metric": METRIC,
        "arm": {"regularizer": "none", "model.width": 64},
        "against": {"regularizer": "none", "model.width": 8},
        "expected": "higher",
    } | given


def found(*claims: dict[str, Any], runs: pd.DataFrame | None = None) -> list[Finding]:
    written = {f"claim_{number}": one for number, one in enumerate(claims)}
    return evaluate(claims_of(written), runs_of() if runs is None else runs)


def test_a_direction_is_that_of_a_paired_t_test() -> None:
    [same], [other] = found(claim()), found(claim(expected="lower"))
    test = stats.ttest_rel(WIDE, BASE)
    interval = test.confidence_interval()
    assert same.p == pytest.approx(test.pvalue)
    assert (same.low, same.high) == pytest.approx((interval.low, interval.high))
    assert (same.word, other.word) == (SAME, OTHER)
    assert same.scores == pytest.approx({"arm": WIDE.mean(), "against": BASE.mean()})


def test_what_is_not_significant_has_no_direction() -> None:
    [one] = found(claim(arm={"regularizer": "l2", "model.width": 8}))
    assert one.p == pytest.approx(stats.ttest_rel(ALIKE, BASE).pvalue)
    assert one.p > 0.05
    assert one.word == NOT_SHOWN


def test_equal_is_shown_by_two_one_sided_tests() -> None:
    arm = {"regularizer": "l2", "model.width": 8}
    [one] = found(claim(arm=arm, expected="equal", within=1))
    sides = [
        stats.ttest_rel(ALIKE, BASE - 0.01, alternative="greater").pvalue,
        stats.ttest_rel(ALIKE, BASE + 0.01, alternative="less").pvalue,
    ]
    assert one.p == pytest.approx(max(sides))
    assert one.word == SAME
    [apart] = found(claim(expected="equal", within=1))
    assert apart.p == pytest.approx(stats.ttest_1samp(WIDE - BASE, 0.01).pvalue)
    assert apart.word == OTHER
    [unclear] = found(claim(arm=arm, expected="equal", within=0.05))
    assert unclear.word == NOT_SHOWN


def test_claims_are_corrected_together() -> None:
    weak = {"regularizer": "l2", "model.width": 8}
    one, _ = found(claim(), claim(arm=weak))
    assert one.p == pytest.approx(2 * stats.ttest_rel(WIDE, BASE).pvalue)
    shift = BASE + np.linspace(-0.003, 0.009, 10)
    runs = runs_of(SCORES | {("l2", 8): shift})
    alone = stats.ttest_rel(shift, BASE).pvalue
    assert 0.01 < alone < 0.05
    [by_itself] = found(claim(arm=weak), runs=runs)
    many = found(*[claim(arm=weak)] * 5, runs=runs)
    assert by_itself.word == SAME
    assert {each.word for each in many} == {NOT_SHOWN}


def test_against_a_number_in_points() -> None:
    [one] = found(claim(against=80))
    assert one.p == pytest.approx(stats.ttest_1samp(WIDE, 0.80).pvalue)
    assert "against 80; +" in one.ours


def test_an_infinite_score_shows_nothing_against_a_number_either() -> None:
    runs = runs_of({("none", 64): np.array([np.inf, *WIDE[1:]])})
    [finding] = found(claim(against=80, expected="higher"), runs=runs)
    assert finding.word == NOT_SHOWN
    assert finding.why == "infinite differences"


def test_scores_that_are_all_the_same_are_decided_by_the_sign_test() -> None:
    runs = runs_of({("none", 64): np.ones(10), ("none", 8): np.ones(10)})
    [one], [alike] = found(claim(against=99), runs=runs), found(claim(), runs=runs)
    assert one.p == pytest.approx(stats.binomtest(10, 10).pvalue)
    assert one.word == SAME
    assert one.ours == "test/accuracy: 100.0 against 99; +1.0 points, at every seed (n = 10)"
    assert (alike.p, alike.word) == (1, NOT_SHOWN)


def test_a_difference_of_differences() -> None:
    more = {"arm": claim()["arm"], "against": claim()["against"]}
    arms = {"arm": {"regularizer": "l2", "model.width": 64}}
    against = {"regularizer": "l2", "model.hidden": [8]}
    [one] = found(claim(**arms, against=against, more_than=more, expected="lower"))
    ours, theirs = SCORES["l2", 64] - ALIKE, WIDE - BASE
    assert one.mean == pytest.approx((ours - theirs).mean())
    assert one.p == pytest.approx(stats.ttest_rel(ours, theirs).pvalue)
    assert one.ours.count(" against ") == 2


def test_a_number_that_follows_a_schedule_tells_an_arm() -> None:
    arm = {"regularizer.l2.p": {"from": 0.1}, "model.width": 64}
    [one] = found(claim(arm=arm))
    assert one.scores["arm"] == pytest.approx(SCORES["l2", 64].mean())


def test_without_runs_there_is_no_word() -> None:
    two = runs_of({key: values[:2] for key, values in SCORES.items()})
    assert found(claim(), runs=two)[0].word == NOT_SHOWN
    [lacking] = found(claim(arm={"regularizer": "l1"}))
    assert (lacking.word, lacking.pairs) == (NOT_SHOWN, 0)
    assert "arm: no finished run" in lacking.ours
    [several] = found(claim(arm={"model.width": 64}))
    assert "several runs of a seed" in several.ours
    unequal = runs_of({("none", 64): WIDE, ("none", 8): BASE[:6]})
    assert found(claim(), runs=unequal)[0].pairs == 6


def test_the_table() -> None:
    columns = columns_of(found(claim()))
    assert [column.title for column in columns] == ["claim", "paper", "ours", "same direction"]
    assert columns[0].cells == ["claim 0"]
    assert columns[3].cells == [SAME]
    assert re.search(r"points \(95% interval \+\d.* n = 10\)", columns[2].cells[0])
    assert evaluate([], runs_of()) == []
    assert claims_of(None) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"expeced": "higher"}, "study.claims.claim_0.expeced: there is no such key. Did you mean"),
        (
            {"expected": "more"},
            "claims.claim_0.expected=more: expected one of higher, lower, equal",
        ),
        ({"paper": ""}, "study.claims.claim_0.paper: expected a value"),
        ({"against": "none"}, "study.claims.claim_0.against=none: expected an arm or a number"),
        ({"arm": {}}, "study.claims.claim_0.arm={}: expected keys of the configuration"),
        ({"within": 1}, "study.claims.claim_0.within=1: how far apart is equal?"),
        ({"expected": "equal"}, "study.claims.claim_0.within=null: how far apart is equal?"),
        ({"expected": "equal", "within": -1}, "claim_0.within=-1: expected a number > 0"),
        ({"expected": "equal", "within": "5"}, "claim_0.within=5: expected a number > 0"),
        ({"expected": "equal", "within": math.nan}, "claim_0.within=nan: expected a number > 0"),
        ({"against": math.nan}, "claim_0.against=nan: expected an arm or a number"),
        ({"more_than": "l1"}, "study.claims.claim_0.more_than: expected {arm: ..."),
        ({"more_than": {"arm": {"a": 1}}}, "study.claims.claim_0.more_than: expected {arm: ..."),
    ],
)
def test_what_is_no_claim_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        found(claim(**given))
