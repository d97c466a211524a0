"""What a column of a table is: numbers, or categories and their levels."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_complex_dtype

from regexp.dataset.data import DataError
from regexp.errors import few

MISSING = "missing"
"""The level of a category that is not known."""

UNITS = "%$€£¥"
"""Signs that may stand before or after a number: of percent, and of currencies."""

# What pandas finds in columns of Python's objects.
NUMBERS = ("decimal", "integer", "floating", "mixed-integer-float")
CATEGORIES = ("string", "boolean", "mixed", "mixed-integer", "categorical", "empty")


def is_category(column: pd.Series) -> bool:
    """Whether a column holds text, true/false or pandas' categories; else it holds numbers.

    Raises:
        DataError: it holds neither, such as dates.
    """
    kinds = pd.api.types
    if kinds.is_bool_dtype(column) or isinstance(column.dtype, pd.CategoricalDtype):
        return True
    if kinds.is_numeric_dtype(column) and not kinds.is_complex_dtype(column):
        return False
    kind = str(column.dtype)
    if kinds.is_string_dtype(column) or column.dtype == object:
        _check_text(column)
        kind = kinds.infer_dtype(column, skipna=True)  # object columns hold anything
        if kind in NUMBERS:
            return False
        if kind in CATEGORIES:
            _check_commas(column)
            return True
    raise DataError(
        f"column {column.name!r} is of type {kind}, neither numbers nor categories; name it in "
        "dataset.drop, or make numbers of it"
    )


def decoded(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns of bytes as the text that they are in UTF-8; those that are none stay as they are."""
    for place, name in enumerate(frame):
        column = frame.iloc[:, place]
        if _holds_bytes(column):
            with suppress(UnicodeDecodeError):
                text = [it.decode() if isinstance(it, bytes) else it for it in column]
                frame = frame.assign(**{str(name): pd.Series(text, index=frame.index)})
    return frame


def _holds_bytes(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(value, bytes) for value in column)


def _check_text(column: pd.Series) -> None:
    """Raise DataError where a column holds bytes: text would have been decoded."""
    if _holds_bytes(column):
        first = next(value for value in column if isinstance(value, bytes))
        raise DataError(
            f"column {column.name!r} holds bytes that are no text in UTF-8 ({first[:20]!r}); name "
            "it in dataset.drop, or write text into the file"
        )


def _check_commas(column: pd.Series) -> None:
    """Raise DataError where the words of a column are numbers with commas."""
    words = column.dropna().astype(str).str.replace(f"[{UNITS}]", "", regex=True).str.strip()
    commas = words[words.str.contains(",", regex=False)]
    if not len(commas) or not words.str.fullmatch(r"[-+]?\d[\d.]*(,\d+)*(\.\d*)?").all():
        return
    first = column[commas.index[0]]
    problem = f"column {column.name!r} has commas in its numbers ({first!r}); "
    cures = [
        "write them with a point and without separators of thousands",
        "name the column in dataset.categorical",
    ]
    if words.str.fullmatch(r"[-+]?\d+(,\d+)?").all():  # else no setting makes numbers of them
        cures = ["if they are before the decimals, set 'dataset.decimal=\",\"'", *cures]
    raise DataError(problem + "; or ".join(cures))


def numbers(column: pd.Series) -> NDArray[np.float64]:
    """A column of numbers as float64, NaN where it is missing, [rows].

    Raises:
        DataError: one is infinite or complex.
    """
    if is_complex_dtype(column):
        raise DataError(f"column {column.name!r}: expected real numbers, got {column.dtype}")
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (OverflowError, TypeError, ValueError) as error:
        raise DataError(f"column {column.name!r}: expected numbers ({error})") from error
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(
            f"row {column.index[row] + 1}, column {column.name!r}: {values[row]}, expected a "
            "finite number"
        )
    return values


def codes(
    column: pd.Series,
    written: pd.Series | None = None,
    declared: Sequence[str] | None = None,
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """A column of categories as numbers of its levels, [rows], and the levels in order.

    Levels are ordered as numbers where they are numbers, else as text. A missing value is a level
    of its own.

    Args:
        column: the values, [rows].
        written: their names, [rows], where values that are equal as numbers are two levels; see
            `regexp.dataset.written.read_codes`.
        declared: all levels in order, those that no row has too, if the data declare them.

    Raises:
        DataError: they are things that have no order, such as lists.
    """
    missing = column.isna()
    values = column[~missing]
    _check_text(values)
    names = [level_of(value) for value in column] if written is None else list(written)
    known = [name for name, gone in zip(names, missing, strict=True) if not gone]
    try:
        ordered = sorted(
            set(zip(values.tolist(), known, strict=True)),
            key=lambda level: (isinstance(level[0], str), *level),
        )
    except TypeError as error:
        raise DataError(
            f"column {column.name!r} holds neither numbers nor categories, but "
            f"{type(values.iloc[0]).__name__} ({error}); name it in dataset.drop"
        ) from error
    texts = dict.fromkeys(declared or (name for _, name in ordered))
    levels = [*texts, *([MISSING] if missing.any() and MISSING not in texts else [])]
    place = {level: float(index) for index, level in enumerate(levels)}
    numbered = [place[MISSING if gone else name]
                for name, gone in zip(names, missing, strict=True)]  # fmt: skip
    return np.array(numbered), tuple(levels)


def check_complete(column: pd.Series, role: str, cure: str = "") -> None:
    """Raise DataError where a column that every row needs has no value in some."""
    gone = np.flatnonzero(column.isna())
    if len(gone):
        raise DataError(
            f"{role} {column.name!r} is missing in {len(gone)} of {len(column)} rows (the first is "
            f"row {column.index[gone[0]] + 1}){cure}"
        )


def check_levels(name: str, levels: Sequence[str], rows: int, most: int) -> None:
    """Raise DataError where a category has more levels than `dataset.max_levels`."""
    if len(levels) > most:
        some = ", ".join(repr(level) for level in levels[:3])
        raise DataError(
            f"column {name!r} is a category of {len(levels)} levels ({some}, ...) in {rows} rows: "
            "if it is a name or an identifier, put it in dataset.drop; if a word in it stands for "
            f"a missing number, in dataset.missing; or raise dataset.max_levels={most}"
        )


def level_of(value: object) -> str:
    """The name of a level: whole numbers that a missing value made floats are whole numbers."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def cure(key: str, words: Sequence[str]) -> str:
    """The override that sets `dataset.<key>` to these words, as it is written in a shell."""
    return shlex.quote(f"dataset.{key}=[{', '.join(map(quoted, words))}]")


def quoted(word: str) -> str:
    """A word as Hydra reads it back, whatever is in it."""
    return '"' + word.replace("\\", "\\\\").replace('"', r"\"") + '"'


def told_of_codes(padded: Sequence[str], categorical: Sequence[str]) -> Iterator[str]:
    """A line on inputs that are read as numbers and have leading zeros, if there are any."""
    if padded:
        named = cure("categorical", [*categorical, *padded])
        yield (
            f"numbers in {listed(padded)} have leading zeros, and are numbers; if they are codes: "
            f"{named}"
        )


def told_of_empty(empty: Sequence[str]) -> Iterator[str]:
    """A line on columns that were left out, if there are any."""
    if empty:
        yield f"no value in any row of {listed(empty)}, left out."


def listed(columns: Sequence[str]) -> str:
    """Columns in a message: the first three and how many more."""
    return f"column{'s' if len(columns) > 1 else ''} {few([repr(name) for name in columns])}"
