"""The words that all messages share."""

import pytest

from regexp.errors import first_line, kind_and_reason, reason_of


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (ValueError(), ""),
        (ValueError("one\ntwo"), "one"),
        (ValueError("\ntwo"), ""),
        ("one\r\ntwo", "one"),
        ("", ""),
    ],
)
def test_the_first_line_of_what_is_said(said: object, line: str) -> None:
    assert first_line(said) == line


def test_of_an_error_that_says_nothing_its_kind_is_the_reason() -> None:
    assert reason_of(ValueError("bad\nworse")) == "bad"
    assert reason_of(ValueError()) == reason_of(ValueError("\nlate")) == "ValueError"
    assert kind_and_reason(ValueError("bad\nworse")) == "ValueError: bad"
