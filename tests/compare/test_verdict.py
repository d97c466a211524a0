"""The verdict: its sentences, and that none is stronger than the numbers."""

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regexp.compare.metric import Metric, metric_of
from regexp.compare.statistics import ALPHA, compare_family
from regexp.compare.verdict import notes, outcome, sentence, verdicts

SPREAD = np.array([-0.015, 0.02, -0.005, 0.0, 0.01, -0.02, 0.005, 0.015, -0.01, 0.0])
BASELINE = pd.Series(np.linspace(0.8, 0.9, 10))


def judged(
    difference: Any,
    *,
    metric: str = "test/accuracy",
    overlap: float | None = 0.25,
    others: int = 0,
) -> str:
    """The sentence on a technique with these differences, beside others that do nothing."""
    pairs = {"it": (BASELINE + difference, BASELINE)}
    pairs |= {f"other {index}": (BASELINE + SPREAD, BASELINE) for index in range(others)}
    judged_by = metric_of(metric)
    compared = compare_family(pairs, overlap=overlap, lower_is_better=judged_by.lower_is_better)
    return str(verdicts(compared, judged_by, one_split=overlap is None)["verdict"].iloc[0])


def test_a_clear_difference_helps_or_hurts() -> None:
    assert judged(SPREAD + 0.04) == (
        "helps: 4.0 points higher (95% interval 2.2 to 5.8, corrected p < 0.001, n = 10)"
    )
    assert judged(SPREAD - 0.04) == (
        "hurts: 4.0 points lower (95% interval 2.2 to 5.8, corrected p < 0.001, n = 10)"
    )


def test_losses_are_written_as_they_are_and_lower_is_better() -> None:
    assert judged(SPREAD - 0.04, metric="test/loss") == (
        "helps: 0.040 lower (95% interval 0.022 to 0.058, corrected p < 0.001, n = 10)"
    )
    assert judged(SPREAD + 0.04, metric="test/rmse").startswith("hurts: 0.040 higher")


def test_an_interval_next_to_zero_shows_that_it_leaves_it_out() -> None:
    assert "(95% interval 0.002 to 3.458, corrected p = 0.0498" in judged(SPREAD + 0.0173)


def test_every_technique_gets_a_word_and_a_sentence() -> None:
    pairs = {
        ("digits", "", "l1", ""): (BASELINE + SPREAD - 0.04, BASELINE),
        ("digits", "", "l2", ""): (BASELINE + SPREAD, BASELINE),
        ("digits", "", "swa", ""): (BASELINE.iloc[:1], BASELINE),
    }
    compared = compare_family(pairs, overlap=None, lower_is_better=True)
    said = verdicts(compared, metric_of("test/loss"), one_split=True)
    assert said.index.equals(compared.index)
    assert said["outcome"].tolist() == ["helps", "no evidence", "no verdict"]
    for word, verdict in zip(said["outcome"], said["verdict"], strict=True):
        assert verdict.startswith(word)


def test_one_split_is_named() -> None:
    assert judged(SPREAD + 0.04, overlap=None).startswith("helps on this split: 4.00 points higher")


def test_a_small_difference_is_no_evidence_and_tells_what_would_have_been_seen() -> None:
    assert judged(SPREAD) == (
        "no evidence either way at n = 10; a difference of 2.7 points would have been seen "
        "(power 80%)"
    )


def test_more_techniques_need_a_larger_difference() -> None:
    assert judged(SPREAD + 0.022).startswith("helps")
    assert judged(SPREAD + 0.022, others=15) == (
        "no evidence either way at n = 10; a difference of 4.4 points would have been seen "
        "(power 80%)"
    )


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (0.0, "no evidence either way at n = 10: the same score at every seed"),
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
    said = judged(gone)
    assert said.startswith("helps")
    assert said.endswith("n = 9); left out: 1 seed without a score of both")


differences = st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=12)


@given(
    differences, st.integers(-8, 8), st.floats(0, 1), st.booleans(), st.sampled_from([None, 0.3])
)
@settings(max_examples=300, deadline=None)
def test_no_sentence_is_stronger_than_the_numbers(
    values: list[float], exponent: int, shift: float, lower: bool, overlap: float | None
) -> None:
    unit = 10.0**exponent
    ours = pd.Series(values) * unit + shift * 1e4 * unit
    pairs = {"it": (ours, pd.Series(0.0, index=ours.index))}
    compared = compare_family(pairs, overlap=overlap, lower_is_better=lower)
    row = compared.iloc[0]
    said = sentence(row, Metric("test/loss", lower), one_split=overlap is None)
    better = row["mean"] < 0 if lower else row["mean"] > 0
    if said.startswith(("helps", "hurts")):
        assert said.startswith("helps") == better
        assert row["p_holm"] < ALPHA
        low, high = map(float, re.findall(r"interval (\S+) to (\S+),", said)[0])
        smaller, larger = sorted(abs(end) for end in (row["low"], row["high"]))
        assert low <= smaller * (1 + 1e-12)
        assert high >= larger * (1 - 1e-12)
        assert low >= 0
        assert row["low"] * row["high"] > 0
    elif found := re.search(r"a difference of (\S+) would have been seen", said):
        assert float(found[1]) >= row["detectable"] * (1 - 1e-12)
        assert float(found[1]) >= abs(row["mean"])
        assert row["p_holm"] >= ALPHA
    else:
        assert said.startswith("no ")


@given(differences, st.sampled_from([None, 0.3]))
@settings(max_examples=50, deadline=None)
def test_a_loss_is_judged_as_its_negative(values: list[float], overlap: float | None) -> None:
    ours = pd.Series(values)
    theirs = pd.Series(0.0, index=ours.index)
    words = [
        outcome(
            compare_family({"it": pair}, overlap=overlap, lower_is_better=lower).iloc[0],
            lower_is_better=lower,
        )
        for pair, lower in (((ours, theirs), False), ((-ours, -theirs), True))
    ]
    assert words[0] == words[1]


def test_notes_tell_what_is_inferred_and_when_seeds_are_few() -> None:
    pairs = {index: (BASELINE + SPREAD * index, BASELINE) for index in range(1, 17)}
    ten = notes(compare_family(pairs, overlap=0.25), 0.25)
    assert "n_test/n_train = 0.25" in ten[0]
    assert "stays above 0.50 standard deviations" in ten[0]
    assert "16 comparisons" in ten[1]
    assert len(ten) == 2
    few = {index: (ours.iloc[:9], theirs.iloc[:9]) for index, (ours, theirs) in pairs.items()}
    nine = notes(compare_family(few, overlap=None), None, families=3)
    assert "other seeds on this split" in nine[0]
    assert "each of the 3 datasets and settings" in nine[1]
    assert nine[2].startswith("9 seeds are few for 16 comparisons: below 10 ")
