"""Which kind of number or name a setting is; YAML and the command line give any."""

from collections.abc import Sequence

Name = str | int | float
"""Of a column; the command line makes numbers of digits."""

Names = Name | Sequence[Name]
"""Several, or one for a list of one."""


def is_number(value: object) -> bool:
    """Whether `value` is a real number (a bool is none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether `value` is an int (a bool is none)."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_separator(separator: object) -> None:
    """`dataset.separator` is a character that can stand between two fields.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(separator, str) or len(separator) != 1:
        raise ValueError(f"dataset.separator: expected one character, got {separator!r}")
    if not separator.isascii() or separator in '"\r\n\0' or separator.isalnum():
        raise ValueError(
            f"dataset.separator: expected a character between two fields, such as a comma, a "
            f"semicolon or a tab; got {separator!r}"
        )


def as_names(value: Names | None) -> tuple[str, ...]:
    """A list of names, or one name: it is no list of its letters, and 3 is a column called 3."""
    if value is None:
        return ()
    listed = [value] if isinstance(value, str | int | float) else value
    return tuple(str(name) for name in listed)
