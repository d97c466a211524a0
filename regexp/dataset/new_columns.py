"""A column of new rows: numbers, or levels that a run knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import kinds
from regexp.dataset.data import DataError
from regexp.dataset.frames import Text
from regexp.dataset.words import check_units, number_of, unit_of
from regexp.dataset.written import NUMBER, by_number, no_numbers
from regexp.errors import few


def numbers(
    column: pd.Series, text: Text, unit: str | None, *, bare: bool = False
) -> NDArray[np.float64]:
    """A column of numbers, NaN where it is missing, [rows]; words may spell them, as `12%` does.

    Args:
        column: the values, whose rows are numbered from 0.
        text: how words are written, and which stand for no value.
        unit: the sign that the run's own numbers had, if they had one; None where it is not known.
        bare: whether numbers that are no words may be without it, as those of an array are.

    Raises:
        DataError: a value is no number, or infinite; numbers of another unit, or of more than one.
    """
    types = pd.api.types
    if not types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        column = _without(column, text.missing)
        spelled = {word: _spelled(word, text.decimal) for word in column.dropna().unique()}
        none = {number for word in text.missing if (number := number_of(word, ".")) is not None}
        column = column.mask(column.map(spelled, na_action="ignore").isin(none))  # also as -999.0
        known = column.dropna().unique()
        if wrong := [word for word, number in spelled.items() if number is None]:
            row = int(np.flatnonzero(column == wrong[0])[0])
            raise DataError(
                f"row {row + 1}, column {column.name!r}: {wrong[0]!r} is no number, and the run "
                "was trained on numbers; leave the field empty if it is missing"
            )
        words = [kinds.level_of(word) for word in known if not bare or isinstance(word, str)]
        check_units(column.name, words, "write all in one way")
        _check_unit(column, words, unit)
        column = column.map(spelled, na_action="ignore").astype(float)
    elif not bare:
        _check_unit(column, [kinds.level_of(number) for number in column.dropna()[:1]], unit)
    return kinds.numbers(column)


def _check_unit(column: pd.Series, words: Sequence[str], unit: str | None) -> None:
    """Raise DataError where numbers have another sign than those that the run was trained on.

    5% is .05 to one who writes it without the sign, and 5 to another.
    """
    if unit is None or not words or (found := unit_of(words[0])) == unit:
        return
    given = f"{words[0]!r} has the sign {found!r}" if found else f"{words[0]!r} has no sign"
    trained = f"numbers with {unit!r}" if unit else "numbers without a sign"
    raise DataError(
        f"column {column.name!r}: {given}, and the run was trained on {trained}; write all numbers "
        f"of the column as the run's own rows have them{f', such as 12{unit}' if unit else ''}"
    )


def _spelled(value: object, decimal: str) -> float | None:
    """A number, or the number that a word spells; None of anything else, such as a date."""
    if isinstance(value, str):
        return number_of(value, decimal)
    return float(value) if isinstance(value, Real | Decimal) else None


def codes(column: pd.Series, levels: Sequence[str], text: Text) -> NDArray[np.float64]:
    """A column of categories as numbers of the levels that the run knows, [rows].

    A word names the level that is written so, a number the one that is this number.

    Args:
        column: the values, whose rows are numbered from 0.
        levels: of the run.
        text: how words are written, and which stand for no value.

    Raises:
        DataError: a level that the run does not know; numbers where words alone tell levels apart.
    """
    column = _without(column.astype(object), text.missing, levels)  # categories take no others
    missing = column.isna()
    given = column[~missing].unique()
    # Integers are exact, and so are the levels beside them; floats of 17 digits are not.
    whole = all(isinstance(value, Integral) for value in given if _is_number(value))
    number: Callable[[str], Any] = Decimal if whole else float
    lost = no_numbers(levels, number)
    if lost and any(_is_number(value) for value in given):
        raise DataError(
            f"column {column.name!r} holds numbers, and the run knows codes such as "
            f"{few([repr(level) for level in lost])}, which only words tell apart; give it as "
            f"text, as by pandas.read_csv(FILE, dtype={{{column.name!r}: str}})"
        )
    place = {level: code for code, level in enumerate(levels)}
    named = {key: place[those[0]] for key, those in by_number(levels, number).items()}
    exact = bool(no_numbers(levels))
    found = {
        value: named[value]
        if value in named
        else _level_of(value, place, text.decimal, exact=exact)
        for value in given
    }
    unknown = [value for value, level in found.items() if level is None]
    lacks = bool(missing.any()) and kinds.MISSING not in place
    if unknown or lacks:
        wrong = missing if lacks else column == unknown[0]
        row = int(np.flatnonzero(wrong)[0])
        shown = few([*["no value"] * lacks, *(repr(str(value)) for value in unknown)])
        raise DataError(
            f"row {row + 1}, column {column.name!r}: {shown} is no level that the run was trained "
            f"with; it knows {few([repr(level) for level in levels])}"
        )
    numbered = column.map(found, na_action="ignore").mask(missing, place.get(kinds.MISSING))
    return numbered.to_numpy(dtype=np.float64)


def _without(column: pd.Series, missing: Sequence[str], levels: Sequence[str] = ()) -> pd.Series:
    """A column with no value where a word stands for none, as in a CSV, or is blank."""
    none, known = {"", *missing}, {*levels}
    gone = [
        isinstance(value, str) and value not in known and value.strip() in none for value in column
    ]
    return column.mask(np.array(gone, dtype=bool))


def _is_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _level_of(value: object, place: Mapping[str, int], decimal: str, *, exact: bool) -> int | None:
    """The number of the level that a value names: as it is written, or as what it spells."""
    spellings = [kinds.level_of(value)]
    if isinstance(value, str):
        word = value.strip()
        # and as b'a', in runs recorded before bytes were text
        spellings += [word, str(word.encode("utf-8", "replace"))]
        if NUMBER.fullmatch(pointed := word.replace(decimal, ".")):
            if float(pointed) == 0:
                pointed = pointed.removeprefix("-")
            spellings.append(pointed)
            if not exact:  # as in training, where 3.10 beside 3.1, and 01 beside 1, are others
                spellings.append(pointed.removesuffix(".0"))
        if word.lower() in ("true", "false"):
            spellings.append(word.capitalize())  # as pandas reads TRUE
    return next((place[name] for name in spellings if name in place), None)
