"""Settings of datasets: of which kind they are, and what is said of those that are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeGuard
from urllib.parse import urlsplit

from regexp.errors import ConfigError

Name = str | int | float
"""Of a column; the command line makes numbers of digits."""

Names = Name | Sequence[Name]
"""Several, or one for a list of one."""


TOGETHER, APART = "together", "apart"
"""What `dataset.repeats` may say."""

BALANCED, INDEPENDENT = "balanced", "independent"
"""What `dataset.resampling` may say."""

EARLIER: Mapping[str, str | bool | None] = MappingProxyType(
    {
        "repeats": APART,
        "group": None,
        "split": None,
        "resampling": INDEPENDENT,
        "test_rest": False,
        "test_seed": None,
    }
)
"""What every run did that was recorded before a setting of datasets was there, by setting."""


EARLIER_OF_TEXT: Mapping[str, str | None] = MappingProxyType({"encoding": None, "decimal": "."})
"""The same of the settings that `dataset=table` and `dataset=series` have."""

EARLIER_OF_TABLES: Mapping[str, str | bool | None] = MappingProxyType(
    {
        **EARLIER_OF_TEXT,
        "header": True,
        "weight": None,
        "rows_without_target": "refuse",
    }
)
"""The same of the settings that `dataset=table` alone has."""


def unexpected(key: str, value: object, expected: str) -> ConfigError:
    """The error that the setting `dataset.<key>` has this value.

    Args:
        expected: what it should be; with a semicolon at its end where it has commas.
    """
    expected = expected if expected.endswith(";") else f"{expected},"
    return ConfigError(f"expected {expected} got {value!r}", key=f"dataset.{key}")


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a real number (a bool is none)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: object, least: int) -> TypeGuard[int]:
    """Whether `value` is an int (a bool is none), and not below `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def are_distinct(names: Sequence[object], least: int) -> bool:
    """Whether these are at least so many names, and none twice."""
    return len(names) >= least and len(set(names)) == len(names)


def is_sha256(text: object) -> bool:
    """Whether `text` is a checksum of 64 hexadecimal digits."""
    return isinstance(text, str) and len(text) == 64 and set(text.lower()) <= {*"0123456789abcdef"}


def check_splitting(
    repeats: object, group: object, split: object, resampling: object, test_rest: object
) -> None:
    """`dataset.repeats` and `resampling` are one of their words, `test_rest` is true or false, and
    `group` and `split` name a column at most.
    """
    if repeats not in (TOGETHER, APART):
        raise unexpected("repeats", repeats, f"'{TOGETHER}' or '{APART}'")
    if resampling not in (BALANCED, INDEPENDENT):
        raise unexpected("resampling", resampling, f"'{BALANCED}' or '{INDEPENDENT}'")
    if not isinstance(test_rest, bool):
        raise unexpected("test_rest", test_rest, "true or false")
    check_column("group", group)
    check_column("split", split)
    if group is not None and split is not None:
        raise ConfigError(
            f"{split!r} says the split of every row; give one of them", key="dataset.group"
        )


def check_seeds(split_seed: object, test_seed: object) -> None:
    """`dataset.split_seed` and `test_seed` are seeds, or None."""
    for key, seed, what in (
        ("split_seed", split_seed, "the same split"),
        ("test_seed", test_seed, "the same test rows"),
    ):
        if seed is not None and not is_whole(seed, 0):
            expected = f"a whole number (0 or more) for {what} in every run, or null for its own;"
            raise unexpected(key, seed, expected)


def check_column(key: str, column: object) -> None:
    """`dataset.<key>` names a column at most."""
    if isinstance(column, bool) or not isinstance(column, Name | None):
        raise unexpected(key, column, "the name of one column, or null;")


def check_no_target(further: Mapping[str, str], *targets: str) -> None:
    """Neither `dataset.group` nor `dataset.split` is a target; see `Dataset.further_columns`."""
    for key, column in further.items():
        if column in targets:
            raise ConfigError(f"{column!r} is the target", key=f"dataset.{key}")


def as_separator(value: object) -> str:
    r"""`dataset.separator`, the character between two fields, a tab also where it is written `\t`.

    A command line and a YAML without quotation marks hand on the two characters of `\t`.

    Raises:
        ConfigError: it cannot stand between two fields.
    """
    separator = "\t" if value == r"\t" else value
    if not isinstance(separator, str) or len(separator) != 1:
        raise unexpected("separator", value, r"one character (a tab is written \t)")
    if not separator.isascii() or separator in '"\r\n\0' or separator.isalnum():
        between = "a character between two fields, such as a comma, a semicolon or a tab;"
        raise unexpected("separator", value, between)
    return separator


def check_text(encoding: object, decimal: object = ".") -> None:
    """`dataset.encoding` is one of Python's, or None; `dataset.decimal` a point or a comma."""
    if encoding is not None:
        try:
            known = isinstance(encoding, str) and "a".encode(encoding).decode(encoding) == "a"
        except (LookupError, ValueError, TypeError):  # ValueError: a NUL in the name
            known = False
        if not known:
            names = "an encoding that Python knows, such as latin-1 or cp1252, or null (UTF-8);"
            raise unexpected("encoding", encoding, names)
    if decimal not in (".", ","):
        raise unexpected("decimal", decimal, "'.' or ','")


def check_size(size: object) -> None:
    """`dataset.size` is a number of pixels, or None."""
    if size is not None and not is_whole(size, 1):
        pixels = (
            "a whole number of pixels a side (1 or more), or null to leave the images as they are;"
        )
        raise unexpected("size", size, pixels)


def check_url(url: str) -> None:
    """`dataset.url` is a public address of a file with a name of its own."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    name = name_in(url)
    good = parts.scheme in ("http", "https") and parts.netloc and name not in ("", ".", "..")
    if not good or not name.isprintable() or "\\" in name:
        raise unexpected("url", url, "the address of a file, http(s)://HOST/.../NAME")


def name_in(url: str) -> str:
    """The name of the file that an address gives: its last part."""
    return url.rsplit("/", 1)[-1]


def as_names(value: Names | None) -> tuple[str, ...]:
    """A list of names, or one name: it is no list of its letters, and 3 is a column called 3."""
    if value is None:
        return ()
    listed = [value] if isinstance(value, str | int | float) else value
    return tuple(str(name) for name in listed)
