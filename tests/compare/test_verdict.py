"""The verdict: its words and sentences, and that none is stronger than the numbers."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regexp.compare.by_row import ByRow
from regexp.compare.estimator import Design
from regexp.compare.family import compare_family
from regexp.compare.metric import Metric, metric_of
from regexp.compare.statistics import ALPHA
from regexp.compare.verdict import Judge, outcome, sentence, verdicts

SPREAD = np.array([-0.015, 0.02, -0.005, 0.0, 0.01, -0.02, 0.005, 0.015, -0.01, 0.0])
BASELINE = pd.Series(np.linspace(0.8, 0.9, 10))


def judged(
    difference: Any,
    *,
    metric: str = "test/accuracy",
    overlap: float | None = 0.25,
    others: int = 0,
    matters: float = 0.0,
) -> str:
    """The sentence on a technique with these differences, beside others that are like none."""
    pairs = {"it": (BASELINE + difference, BASELINE)}
    pairs |= {f"other {index}": (BASELINE + SPREAD, BASELINE) for index in range(others)}
    judge = Judge(metric_of(metric), overlap is None, matters)
    compared = compare_family(
        pairs, overlap=overlap, lower_is_better=judge.metric.lower_is_better, matters=matters
    )
    return str(verdicts(compared, judge)["verdict"].iloc[0])


def test_a_clear_difference_helps_or_hurts_on_both() -> None:
    assert judged(SPREAD + 0.04) == (
        "helps on this table: 4.00 points higher (95% interval 3.07 to 4.93, corrected p < 0.001, "
        "n = 10); on other rows as well (95% interval 2.2 to 5.8, corrected p < 0.001)"
    )
    assert judged(SPREAD - 0.04).startswith("hurts on this table: 4.00 points lower (95% interval")


def test_losses_are_written_as_they_are_and_lower_is_better() -> None:
    assert judged(SPREAD - 0.04, metric="test/loss").startswith(
        "helps on this table: 0.0400 lower (95% interval 0.0307 to 0.0493, corrected p < 0.001"
    )
    assert judged(SPREAD + 0.04, metric="test/rmse").startswith("hurts on this table: 0.0400 high")


def test_what_helps_on_this_table_alone_tells_what_other_rows_need() -> None:
    said = judged(SPREAD + 0.013)
    assert said.startswith("helps on this table: 1.30 points higher")
    assert said.endswith(
        "; on other rows probably helps (93%), seeds cannot decide this, more test rows can"
    )


def test_an_interval_next_to_zero_shows_that_it_leaves_it_out() -> None:
    assert "(95% interval 0.0002 to 1.8474, corrected p = 0.0499" in judged(SPREAD + 0.009238)


def test_one_split_is_named_and_nothing_is_said_of_other_rows() -> None:
    said = judged(SPREAD + 0.04, overlap=None)
    assert said.startswith("helps on this split: 4.00 points higher")
    assert "other" not in said


def test_probable_gains_tell_how_sure_and_what_would_decide() -> None:
    assert judged(SPREAD + 0.007) == (
        "probably helps (93%): +0.70 points (95% interval −0.23 to +1.63, n = 10); about 27 seeds "
        "would decide"
    )
    assert judged(SPREAD - 0.007, others=15).startswith("probably hurts (94%): −0.70 points")


def test_equal_is_what_lies_within_what_matters() -> None:
    assert judged(SPREAD / 10, matters=0.005) == (
        "practically equal on this table: within ±0.5 points (99%); 0.000 points (95% interval "
        "−0.093 to +0.093, n = 10)"
    )
    assert judged(SPREAD / 10).startswith("no evidence")  # nothing is small where all matters


def test_a_small_difference_is_no_evidence_and_tells_what_would_have_been_seen() -> None:
    assert judged(SPREAD) == (
        "no evidence either way at n = 10; a difference of 1.5 points would have been seen "
        "(power 80%)"
    )


def test_more_techniques_need_a_larger_difference() -> None:
    assert judged(SPREAD + 0.011).startswith("helps")
    assert judged(SPREAD + 0.011, others=15).startswith("probably helps")


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.0, "no verdict at n = 10: the same score at every seed, which tells no spread"),
        (0.01, "no verdict at n = 10: 1.0 points higher at every seed, which tells no spread"),
        (math.nan, "no verdict: no seed has a score of both"),
        (
            np.where(np.arange(10) < 2, math.inf, SPREAD),
            "no verdict at n = 10: the difference is infinite at 2 seeds",
        ),
        (
            np.where(np.arange(10) < 2, SPREAD, math.nan),
            "no verdict at n = 2: it takes 3 seeds or more; left out: 8 seeds without a score of "
            "both",
        ),
        (np.where(np.arange(10) < 5, -1e308, 1e308), "no verdict at n = 10: the scores are too "),
        (
            np.array([0.4, -0.4, 0.1, *[math.nan] * 7]),
            "no evidence either way at n = 3; no difference could have been seen; left out: 7 ",
        ),
    ],
)
def test_what_the_numbers_cannot_tell_is_said(difference: Any, said: str) -> None:
    assert judged(difference).startswith(said)


def test_missing_seeds_are_told() -> None:
    gone = np.where(np.arange(10) == 3, math.nan, SPREAD + 0.04)
    assert judged(gone).endswith("; left out: 1 seed without a score of both")


def by_row(differences: list[float], *, idle: bool = False) -> pd.DataFrame:
    """A technique that differs at each of four seeds of three rows by so much on the first row."""
    shape = np.zeros((4, 3))
    shape[:, 0] = differences
    pairs = {"it": (pd.Series(shape.mean(1)), pd.Series(np.zeros(4)))}
    found = ByRow(
        differences=shape.reshape(1, -1),
        seed=np.repeat(np.arange(4), 3),
        row=np.tile(np.arange(3), 4),
        changed=np.array([bool(np.any(differences))]),
        idle=np.array([idle]),
        tested=np.array([2154]),
    )
    design = Design(pool=3, training=2, validation=0, one_split=True)
    return compare_family(pairs, overlap=None, by_row=found, design=design)


@pytest.mark.parametrize(
    ("idle", "said"),
    [
        (True, "did nothing: none of 2,154 predictions changed"),
        (False, "did nothing: other predictions, but the same score of each of 2,154"),
    ],
)
def test_a_technique_that_did_nothing_is_told_by_its_predictions(idle: bool, said: str) -> None:
    compared = by_row([0, 0, 0, 0], idle=idle)
    found = verdicts(compared, Judge(Metric("test/accuracy"), one_split=True))
    assert found.iloc[0].tolist() == ["did nothing", "did nothing", said]


def test_a_tie_without_scores_by_row_is_nothing_where_no_prediction_changed() -> None:
    pairs = dict.fromkeys(("same", "other"), (BASELINE, BASELINE))
    compared = compare_family(pairs, overlap=0.25, idle=np.array([True, False]))
    assert not compared["changed"].any()
    found = verdicts(compared, Judge(Metric("test/roc_auc")))
    assert found.iloc[0].tolist() == ["did nothing", "did nothing",
                                          "did nothing: no prediction changed"]  # fmt: skip
    assert found.iloc[1].tolist()[:2] == ["no verdict", "no verdict"]


def test_scores_by_row_tell_of_other_test_rows_on_one_split() -> None:
    judge = Judge(Metric("test/accuracy"), one_split=True)
    row = by_row([1, 0, 1, 1]).iloc[0]
    assert row["rows_error"] > row["error"]
    assert outcome(row, judge, "rows_") != "no verdict"


def test_a_control_is_the_noise_floor_and_no_member_of_the_family() -> None:
    pairs = dict.fromkeys(("it", "again"), (BASELINE + SPREAD + 0.02, BASELINE))
    found = compare_family(pairs, overlap=None, controls=["again"])
    assert found["p_corrected"].iloc[0] == found["p"].iloc[0]  # nothing to correct for
    assert math.isnan(found["p_best"].iloc[1])
    said = verdicts(found, Judge(Metric("test/accuracy"), one_split=True))
    assert said["outcome"].tolist() == ["helps", "noise floor"]
    assert said["verdict"].iloc[1].startswith("noise floor: +2.00 points (95% interval +1.0")


def test_a_stricter_level_claims_less() -> None:
    compared = compare_family({"it": (BASELINE + SPREAD + 0.013, BASELINE)}, overlap=0.25)
    row = compared.iloc[0]
    words = [outcome(row, Judge(Metric("test/accuracy"), alpha=alpha)) for alpha in (0.05, 0.001)]
    assert words == ["helps", "probably helps"]


differences = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=12)


@given(
    differences, st.integers(-8, 8), st.floats(0, 1), st.booleans(), st.sampled_from([None, 0.3])
)
@settings(max_examples=150)
def test_no_sentence_is_stronger_than_the_numbers(
    values: list[float], exponent: int, shift: float, lower: bool, overlap: float | None
) -> None:
    unit = 10.0**exponent
    ours = pd.Series(values) * unit + shift * 1e4 * unit
    pairs = {"it": (ours, pd.Series(0.0, index=ours.index))}
    compared = compare_family(pairs, overlap=overlap, lower_is_better=lower)
    row = compared.iloc[0]
    judge = Judge(Metric("test/loss", lower), overlap is None)
    said, word = sentence(row, judge), outcome(row, judge)
    better = row["mean"] < 0 if lower else row["mean"] > 0
    assert said.startswith(word)
    if word in ("helps", "hurts"):
        assert (word == "helps") == better
        assert row["p_corrected"] < ALPHA
        low, high = map(float, re.findall(r"interval (\S+) to (\S+),", said)[0])
        smaller, larger = sorted(abs(end) for end in (row["low"], row["high"]))
        assert low <= smaller * (1 + 1e-12)
        assert high >= larger * (1 - 1e-12)
        assert low >= 0
        assert row["low"] * row["high"] > 0
        if "as well" in said:
            assert row["rows_p_corrected"] < ALPHA
            assert row["rows_low"] * row["rows_high"] > 0
    elif word.startswith("probably"):
        [sure] = re.findall(r"^probably \w+ \((\d+)%\)", said)
        helps = row["p_helps"]
        assert 90 <= int(sure) <= 100 * (helps if word.endswith("helps") else 1 - helps) + 1e-6
        assert row["p_corrected"] >= ALPHA
    elif found := re.search(r"a difference of (\S+) would have been seen", said):
        assert float(found[1]) >= row["detectable"] * (1 - 1e-12)
        assert float(found[1]) >= abs(row["mean"])
        assert row["p_corrected"] >= ALPHA
    else:
        assert said.startswith(("no ", "did nothing"))


@given(differences, st.sampled_from([None, 0.3]))
@settings(max_examples=40)
def test_a_loss_is_judged_as_its_negative(values: list[float], overlap: float | None) -> None:
    ours = pd.Series(values)
    theirs = pd.Series(0.0, index=ours.index)
    words = []
    for pair, lower in (((ours, theirs), False), ((-ours, -theirs), True)):
        row = compare_family({"it": pair}, overlap=overlap, lower_is_better=lower).iloc[0]
        judge = Judge(Metric("test/loss", lower), overlap is None)
        words.append([outcome(row, judge, prefix) for prefix in ("", "rows_")])
    assert words[0] == words[1]
