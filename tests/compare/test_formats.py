"""Numbers as text: none says more than it should."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regexp.compare.formats import (
    MINUS,
    NOTHING,
    counted_digits,
    differences,
    least_text,
    listed,
    p_text,
    relation,
    rounded,
    scores,
    upwards,
)
from regexp.compare.metric import PERCENT, PLAIN, POINTS, Unit, metric_of
from regexp.errors import printable


def read(text: str) -> float:
    return float(text.replace(MINUS, "-"))


def frame(rows: list[tuple[float, float, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["difference", "low", "high"])


def test_a_column_of_scores_has_the_digits_of_its_spreads() -> None:
    assert scores([0.92647, 0.9], [0.0136, 0.02], POINTS) == ["92.6 ± 1.4", "90.0 ± 2.0"]
    assert scores([0.26494, math.nan], [0.0121, math.nan], PLAIN) == ["0.265 ± 0.012", NOTHING]
    assert scores([0.92647], [math.nan], POINTS) == ["92.65"]
    assert scores([0.25], [0.0], PLAIN) == ["0.2500 ± 0.0000"]
    assert scores([math.inf, 1.0], [math.nan, 0.25], PLAIN) == ["∞", "1.00 ± 0.25"]


def test_titles_have_their_unit() -> None:
    assert metric_of("test/accuracy").title == "test/accuracy, %"
    assert metric_of("test/rmse").title == "test/rmse"


def test_differences_are_rounded_outwards() -> None:
    assert differences(frame([(0.02618, 0.01911, 0.03369)]), POINTS) == [
        ("+2.62", "+1.91 to +3.37")
    ]
    assert differences(frame([(-0.026, -0.0611, 0.0091)]), POINTS) == [
        (f"{MINUS}2.6", f"{MINUS}6.2 to +1.0")
    ]


def test_differences_that_are_not_known() -> None:
    nan = math.nan
    assert differences(frame([(nan, nan, nan), (0.0, nan, nan), (0.0123, nan, nan)]), PLAIN) == [
        (NOTHING, NOTHING),
        ("0", NOTHING),
        ("+0.012", NOTHING),
    ]
    assert differences(frame([(math.inf, nan, nan)]), PLAIN) == [("∞", NOTHING)]


@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9)), min_size=1, max_size=5),
    st.sampled_from([PLAIN, POINTS]),
)
@settings(max_examples=200)
def test_no_interval_is_narrower_than_it_is(rows: list[tuple[float, float]], unit: Unit) -> None:
    intervals = [(mean, mean - reach, mean + reach) for mean, reach in rows]
    told = differences(frame(intervals), unit)
    for (_, low, high), (_, text) in zip(intervals, told, strict=True):
        shown = [read(end) for end in text.split(" to ")]
        assert shown[0] <= low * unit.factor
        assert shown[1] >= high * unit.factor
        if min(abs(low), abs(high)) > 1e-9:
            assert (shown[0] * shown[1] > 0) == (low * high > 0)


def test_what_would_have_been_seen_is_rounded_up() -> None:
    assert upwards(0.0361, POINTS) == "3.7"
    assert upwards(0.0301, PLAIN) == "0.031"
    assert upwards(2.5e7, PLAIN) == "2.50e+7"


def test_numbers_are_written_with_their_signs() -> None:
    assert rounded(-0.0004, 2) == "0.00"
    assert rounded(-0.5, 1, sign=True) == f"{MINUS}0.5"
    assert rounded(0.5, 1, sign=True) == "+0.5"
    assert rounded(12345678.0, 1) == "1.23e+7"
    assert rounded(math.nan, 1) == NOTHING


def test_no_digit_before_the_point_is_lost() -> None:
    values = (0.51234, 1234.0, 0.0)
    assert [counted_digits(value, PLAIN, 3) for value in values] == ["0.512", "1234.0", "0"]
    assert counted_digits(0.5, PERCENT, 2) == "50"
    assert counted_digits(math.inf, PLAIN, 3) == "∞"


@pytest.mark.parametrize(
    ("p", "cell", "sentence"),
    [
        (0.0, "<0.001", "< 0.001"),
        (0.0123, "0.012", "= 0.012"),
        (0.04999, "0.04999", "= 0.04999"),  # on its side of 5%
        (0.05, "0.05", "= 0.05"),
        (1, "1", "= 1"),
        (math.nan, NOTHING, f"= {NOTHING}"),
    ],
)
def test_p_values(p: float, cell: str, sentence: str) -> None:
    assert (p_text(p), relation(p)) == (cell, sentence)


@pytest.mark.parametrize(
    ("p", "level", "cell", "sentence"),
    [
        (0.0448, 0.045, "0.0448", "= 0.0448"),  # on its side of the level
        (0.0452, 0.045, "0.045", "= 0.045"),
        (0.00079, 0.0008, "<0.0008", "< 0.0008"),
        (0.00085, 0.0008, "0.00085", "= 0.00085"),
    ],
)
def test_p_values_by_another_level(p: float, level: float, cell: str, sentence: str) -> None:
    assert (p_text(p, level), relation(p, level)) == (cell, sentence)


def test_names_are_listed() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip


def test_what_steers_a_terminal_is_shown() -> None:
    assert printable("a\x1b[31m\nb ü") == "a\\x1b[31m\\nb ü"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.005, POINTS, "0.5"),  # as it was asked
        (0.0125, POINTS, "1.25"),
        (0.3, POINTS, "30"),
        (20.0, PLAIN, "20"),
        (0.006877865, PLAIN, "0.00688"),  # 1% of a mean
        (1234.5678, PLAIN, "1234.6"),
        (2e10, PLAIN, "2.00e+10"),
    ],
)
def test_the_least_that_matters_has_no_more_digits_than_count(
    value: float, unit: Unit, text: str
) -> None:
    assert least_text(value, unit) == text
