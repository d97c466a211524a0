"""A user's CSV or Parquet file as a data frame, with errors that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset.base import DataError
from regexp.dataset.columns import SEPARATORS, read_fields
from regexp.dataset.limits import check_fits

MISSING = "missing"
"""The level of a category that is not known."""

PARQUET = (".parquet", ".pq")

NUMBER = 8  # bytes

# What pandas finds in columns of Python's objects.
NUMBERS = ("decimal", "integer", "floating", "mixed-integer-float")
CATEGORIES = ("string", "boolean", "bytes", "mixed", "mixed-integer", "categorical", "empty")


def read_frame(path: Path, separator: str, missing: Sequence[str]) -> pd.DataFrame:
    """All columns of a file; a name that ends in .parquet or .pq says Parquet, any other CSV.

    Args:
        path: the file; CSV in UTF-8, gzipped if its name ends in `.gz`.
        separator: the character between two fields of a CSV.
        missing: words that stand for a missing value in a CSV, beside pandas' own (an empty field,
            NA, N/A, NaN, null, None and the like).

    Raises:
        DataError: the file is empty or damaged; names stand twice; a row is too short or too long.
    """
    if path.suffix in PARQUET:
        import pyarrow.parquet

        try:
            described = pyarrow.parquet.read_metadata(path)
            check_fits(path, described.num_rows * described.num_columns * NUMBER)
            check_names(path, described.schema.to_arrow_schema().names)
            frame = pd.read_parquet(path)
        except DataError:
            raise
        except Exception as error:  # a damaged file makes these libraries raise anything
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
        frame = frame.reset_index(drop=True)
    else:
        # pandas fills rows that are too short, and takes a field too many for an index.
        fields = read_fields(path, separator)
        _, header = next(fields)
        check_names(path, header)
        _check_separator(path, header, separator)
        rows = sum(1 for _ in fields)
        try:
            frame = pd.read_csv(
                path, sep=separator, na_values=list(missing), encoding="utf-8-sig",
                low_memory=False, skipinitialspace=separator != " ",
                compression="gzip" if path.suffix == ".gz" else None,
            )  # fmt: skip
        except (ValueError, OverflowError) as error:
            raise DataError(f"{path}: cannot be read as separated columns: {error}") from error
        if frame.shape != (rows, len(header)):
            raise DataError(
                f"{path}: quotation marks or blank lines make it unclear where rows end; write it "
                "anew, with each field that holds a quotation mark or a line end in quotes"
            )
        frame.columns = pd.Index(header)
    if not len(frame):
        raise DataError(f"{path}: a header and no rows")
    return frame


def read_further(path: Path, separator: str, further: Mapping[str, str]) -> dict[str, pd.Series]:
    """The columns of a file that settings name, in the order of its rows.

    Args:
        path, separator: see `read_frame`.
        further: see `Dataset.further_columns`.

    Raises:
        DataError: as `read_frame`; there is no such column.
    """
    frame = read_frame(path, separator, ())
    names = tuple(str(name) for name in frame.columns)
    for key, column in further.items():
        check_columns(path, f"dataset.{key}", (column,), names)
    return {column: frame[column] for column in further.values()}


def check_names(path: Path, names: Sequence[str]) -> None:
    """Raise DataError unless every column has a name of its own."""
    if not any(names):
        raise DataError(f"{path}: the file is empty; expected a header with the columns' names")
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name:
            raise DataError(
                f"{path}: column {place + 1} of {len(names)} has no name in the header; give it "
                "one, or leave the column out (of row numbers: pandas' to_csv(index=False))"
            )
        if name in seen:
            raise DataError(
                f"{path}: the header has the column {name!r} more than once; rename one"
            )
        seen.add(name)


def _check_separator(path: Path, header: Sequence[str], separator: str) -> None:
    """Raise DataError where the header is one name in which another separator stands."""
    others = [other for other in SEPARATORS if len(header) == 1 and other in header[0]]
    if others:
        written = r"\t" if others[0] == "\t" else others[0]  # a terminal shows a tab as spaces
        raise DataError(
            f"{path}: the header is separated by {SEPARATORS[others[0]]} {others[0]!r}, expected "
            f"{SEPARATORS.get(separator, 'character')} {separator!r}; set "
            f"'dataset.separator=\"{written}\"'"
        )


def check_columns(path: Path | str, key: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise DataError where a column that the setting `key` names is not there."""
    for column in wanted:
        if column not in names:
            near = get_close_matches(str(column), names[:1000], n=3) or list(names)[:20]
            raise DataError(f"{path} has no column {column!r}; nearest: {', '.join(near)}", key=key)


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


def _check_commas(column: pd.Series) -> None:
    """Raise DataError where the words of a column are numbers with commas."""
    words = column.dropna().astype(str)
    commas = words[words.str.contains(",", regex=False)]
    if len(commas) and words.str.fullmatch(r"[-+]?\d[\d.]*(,\d+)*").all():
        raise DataError(
            f"column {column.name!r} has commas in its numbers ({commas.iloc[0]!r}); write them "
            "with a point and without separators of thousands, or name the column in "
            "dataset.categorical"
        )


def numbers(column: pd.Series) -> NDArray[np.float64]:
    """A column of numbers as float64, NaN where it is missing, [rows].

    Raises:
        DataError: one is infinite.
    """
    try:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    except (OverflowError, TypeError, ValueError) as error:
        raise DataError(f"column {column.name!r}: expected numbers ({error})") from error
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(
            f"row {row + 1}, column {column.name!r}: {values[row]}, expected a finite number"
        )
    return values


def codes(column: pd.Series) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """A column of categories as numbers of its levels, [rows], and the levels in order.

    Levels are ordered as numbers where they are numbers, else as text. A missing value is a level
    of its own.

    Raises:
        DataError: they are things that have no order, such as lists.
    """
    missing = column.isna()
    values = column[~missing]
    try:
        ordered = sorted(set(values.tolist()), key=lambda value: (isinstance(value, str), value))
    except TypeError as error:
        raise DataError(
            f"column {column.name!r} holds neither numbers nor categories, but "
            f"{type(values.iloc[0]).__name__} ({error}); name it in dataset.drop"
        ) from error
    texts = dict.fromkeys(_text(value) for value in ordered)
    levels = [*texts, *([MISSING] if missing.any() and MISSING not in texts else [])]
    place = {level: float(index) for index, level in enumerate(levels)}
    numbered = [place[MISSING if gone else _text(value)]
                for value, gone in zip(column, missing, strict=True)]  # fmt: skip
    return np.array(numbered), tuple(levels)


def _text(value: object) -> str:
    """Whole numbers that a missing value made floats are written as whole numbers."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
