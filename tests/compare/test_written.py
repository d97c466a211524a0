"""Numbers as text: none says more than it should."""

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regexp.compare.verdict import Unit, unit_of
from regexp.compare.written import (
    MINUS,
    NOTHING,
    differences,
    number,
    p_value,
    scores,
    title_of,
    upwards,
)
from regexp.errors import printable

PLAIN = Unit()
POINTS = unit_of("test/accuracy")


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
    assert title_of("test/accuracy") == "test/accuracy, %"
    assert title_of("test/rmse") == "test/rmse"


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
@settings(max_examples=200, deadline=None)
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
    assert number(-0.0004, PLAIN, 2) == "0.00"
    assert number(-0.5, PLAIN, 1, sign=True) == f"{MINUS}0.5"
    assert number(0.5, PLAIN, 1, sign=True) == "+0.5"
    assert number(12345678.0, PLAIN, 1) == "1.23e+7"
    assert number(math.nan, PLAIN, 1) == NOTHING


@pytest.mark.parametrize(("p", "text"), [(0.0123, "0.012"), (0.0, "<0.001"), (math.nan, NOTHING)])
def test_p_values(p: float, text: str) -> None:
    assert p_value(p) == text


def test_what_steers_a_terminal_is_shown() -> None:
    assert printable("a\x1b[31m\nb ü") == "a\\x1b[31m\\nb ü"
