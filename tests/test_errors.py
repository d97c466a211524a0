"""The words that all messages share."""

import pytest

from regexp.errors import first_line


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
