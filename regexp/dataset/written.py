"""Columns of a CSV that name things, as they are written: numbers make other words of some."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from regexp.dataset.columns import UTF_8
from regexp.dataset.frames import Text, check_columns, is_typed, parse_csv, read_csv, read_frame
from regexp.dataset.kinds import level_of
from regexp.errors import few

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)

LEADING_ZEROS = r"[-+]?0\d+"


def read_codes(
    path: Path, text: Text, frame: pd.DataFrame, columns: Collection[str]
) -> dict[str, pd.Series]:
    """Columns of numbers that would be other words if they were names, as the file has them.

    As names 01, 3.10 and 1E2 are not 1, 3.1 and 100; and of 9007199254740993 pandas makes ...992
    where a value is missing. A column that holds such a word is as it is written, with a point
    before decimals. 1.0 is 1 where no other word is: where values are missing, programs write whole
    numbers so.

    Args:
        path, text: see `regexp.dataset.frames.read_frame`.
        frame: that it read. Parquet and ARFF have text where somebody wrote text.
        columns: those that are looked at.

    Returns:
        By name, text such as "01" and "1", None where it is missing, [rows].
    """
    places = [
        place for place, name in enumerate(frame) if name in columns and _is_number(frame[name])
    ]
    if is_typed(path) or not places:
        return {}
    texts = read_csv(path, text, usecols=places, dtype=str)
    codes = {}
    for place, name in zip(places, texts, strict=True):
        column = frame.iloc[:, place]
        words = texts[name].str.strip().str.replace(text.decimal, ".", regex=False)
        words = words.mask(column == 0, words.str.removeprefix("-"))  # which tells no two apart
        known = column.notna()
        first = known & ~words.duplicated()
        spelled, plain = words[first], column[first].astype(object).map(level_of)
        as_numbers = (spelled == plain) | (spelled == plain + ".0")
        if plain.duplicated().any() or not as_numbers.all():
            codes[str(frame.columns[place])] = words.astype(object).where(known, None)
    return codes


def read_words(
    path: Path, text: Text, frame: pd.DataFrame, levels: Mapping[str, Collection[str]]
) -> dict[str, pd.Series]:
    """Columns of a CSV as they are written, by name; nothing of Parquet and ARFF.

    Words such as NA are missing values, unless they are known: in Parquet and ARFF they are words.

    Args:
        path, text: see `regexp.dataset.frames.read_frame`.
        frame: that it read.
        levels: words that are known, by the columns that are wanted.
    """
    places = [place for place, name in enumerate(frame) if name in levels]
    if is_typed(path) or not places:
        return {}
    plain = replace(text, missing=())
    texts = parse_csv(path, plain, usecols=places, dtype=str, keep_default_na=False)
    found = {}
    for place, written in zip(places, texts, strict=True):
        name, words = str(frame.columns[place]), texts[written]
        known = words.isin(levels[name]) | words.str.strip().isin(levels[name])
        found[name] = words.mask(frame.iloc[:, place].isna() & ~known)
    return found


def read_further(
    path: Path, separator: str, further: Mapping[str, str], encoding: str | None
) -> dict[str, pd.Series]:
    """The columns of a file that settings name, in the order of its rows.

    Args:
        path: see `regexp.dataset.frames.read_frame`.
        separator: the character between two fields of a CSV.
        encoding: of a CSV, as Python names it; None for UTF-8.
        further: see `Dataset.further_columns`.

    Raises:
        DataError: as `read_frame`; there is no such column.
    """
    text = Text(separator, encoding=encoding or UTF_8)
    frame = read_frame(path, text)
    names = tuple(str(name) for name in frame.columns)
    for key, column in further.items():
        check_columns(path, f"dataset.{key}", (column,), names)
    codes = read_codes(path, text, frame, further.values())
    return {column: codes.get(column, frame[column]) for column in further.values()}


def is_whole(column: pd.Series) -> bool:
    """Whether all numbers of a column are whole; a missing value makes them floats."""
    kinds = pd.api.types
    if kinds.is_integer_dtype(column):
        return True
    values = column.dropna() if kinds.is_float_dtype(column) else column.iloc[:0]
    return bool(len(values)) and bool((values % 1 == 0).all())


def are_padded(codes: pd.Series | None) -> bool:
    """Whether there are leading zeros in a column of `read_codes`."""
    return codes is not None and bool(codes.dropna().str.fullmatch(LEADING_ZEROS).any())


def by_number(levels: Sequence[str], number: Callable[[str], Any] = float) -> dict[Any, list[str]]:
    """The levels that are numbers, by these.

    Args:
        levels: their names.
        number: makes a number of a name.
    """
    found: dict[Any, list[str]] = {}
    for level in levels:
        if NUMBER.fullmatch(level):
            found.setdefault(number(level), []).append(level)
    return found


def no_numbers(levels: Sequence[str], number: Callable[[str], Any] = float) -> list[str]:
    """The levels that no number names: those with leading zeros, and several of one number.

    Args:
        levels, number: see `by_number`.
    """
    several = by_number(levels, number).values()
    alike = {level for those in several if len(those) > 1 for level in those}
    return [level for level in levels if level in alike or re.fullmatch(LEADING_ZEROS, level)]


def told_of_equal(what: str, name: str, levels: Sequence[str]) -> Iterator[str]:
    """A line on levels of a column that are one number, if there are any.

    Args:
        what: they are, such as classes.
        name: of the column.
        levels: their names.
    """
    for those in by_number(levels).values():
        if len(those) > 1:
            yield (
                f"{few([repr(level) for level in those])} of the column {name!r} are different "
                f"{what}, as they are written; if they are one, write them alike"
            )
            return


def _is_number(column: pd.Series) -> bool:
    kinds = pd.api.types
    return kinds.is_numeric_dtype(column) and not kinds.is_bool_dtype(column)
