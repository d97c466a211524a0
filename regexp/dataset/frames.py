"""A user's CSV or Parquet file as a data frame, with errors that say what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from regexp.dataset.arff import is_arff, read_arff
from regexp.dataset.base import DataError
from regexp.dataset.columns import SEPARATORS, UTF_8, read_fields
from regexp.dataset.kinds import decoded
from regexp.dataset.limits import check_fits

PARQUET = (".parquet", ".pq")

NUMBER = 8  # bytes

EXACT = 2**53
"""Below it every whole number is a float."""

NO_VALUE = (
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
)
"""What pandas takes for no value in a CSV."""


@dataclass(frozen=True)
class Text:
    """How a CSV is written.

    Args:
        separator: the character between two fields.
        missing: words that stand for a missing value, beside pandas' own (an empty field, NA, N/A,
            NaN, null, None and the like).
        encoding: as Python names it.
        decimal: the character before the decimals of a number.
        header: whether the first line has the names of the columns; they are 1, 2, 3 ... if not.
    """

    separator: str
    missing: tuple[str, ...] = ()
    encoding: str = UTF_8
    decimal: str = "."
    header: bool = True


def is_typed(path: Path) -> bool:
    """Whether the columns of a file have types, by its name; in a CSV all are text."""
    return path.suffix.lower() in PARQUET or is_arff(path)


def read_frame(path: Path, text: Text, *, named: bool = True) -> pd.DataFrame:
    """All columns of a file: Parquet if its name ends in .parquet or .pq, ARFF if in .arff, or CSV.

    Args:
        path: the file; a CSV or ARFF is gzipped if its name ends in `.gz`.
        text: how a CSV is written.
        named: whether every column must have a name of its own.

    Raises:
        DataError: the file is empty or damaged; names stand twice; a row is too short or too long.
    """
    if path.suffix.lower() in PARQUET:
        import pyarrow.parquet

        try:
            described = pyarrow.parquet.read_metadata(path)
            check_fits(path, described.num_rows * described.num_columns * NUMBER)
            schema = described.schema.to_arrow_schema()
            check_names(path, schema.names, named=named)
            frame = pd.read_parquet(path)
            whole = [field.name for field in schema if pyarrow.types.is_integer(field.type)]
            rounded = [name for name in whole if name in frame and _is_rounded(frame[name])]
            if rounded:
                exact = pd.read_parquet(path, columns=rounded, dtype_backend="numpy_nullable")
                frame[rounded] = exact[rounded]
        except DataError:
            raise
        except Exception as error:  # a damaged file makes these libraries raise anything
            raise DataError(f"{path}: cannot be read as Parquet: {error}") from error
        frame = frame.reset_index(drop=not any(frame.index.names))  # what has a name is a column
        frame.columns = pd.Index([str(name) for name in frame.columns])  # numbers, without a header
        frame = decoded(frame)
    elif is_arff(path):
        frame = read_arff(path, text.encoding)
        check_names(path, [str(name) for name in frame], named=named)
    else:
        # pandas fills rows that are too short, and takes a field too many for an index.
        fields = read_fields(path, text.separator, text.encoding, header=text.header)
        _, names = next(fields)
        otherwise = " or, if there is no header, set 'dataset.header=false'"
        check_names(path, names, otherwise, named=named)
        if text.header:  # before a row, whose commas before decimals would be separators
            _check_separator(path, names, text)
        first = next(fields, None)
        if first and not text.header:
            _check_separator(path, first[1], text)
        rows = (first is not None) + sum(1 for _ in fields)
        frame = read_csv(path, text)
        if frame.shape != (rows, len(names)):
            raise DataError(
                f"{path}: quotation marks or blank lines make it unclear where rows end; write it "
                "anew, with each field that holds a quotation mark or a line end in quotes"
            )
        frame.columns = pd.Index(names)
    if not len(frame):
        raise DataError(f"{path}: a header and no rows")
    return frame


def _is_rounded(column: pd.Series) -> bool:
    """Whether whole numbers, of which a missing value made floats, may be others by that."""
    return bool(pd.api.types.is_float_dtype(column) and (column.abs() >= EXACT).any())


def read_csv(path: Path, text: Text, **options: Any) -> pd.DataFrame:
    """A CSV as `parse_csv` reads it; blanks around words are no part of them."""
    return _without_trailing_blanks(parse_csv(path, text, **options), text.missing)


def parse_csv(path: Path, text: Text, **options: Any) -> pd.DataFrame:
    """A CSV as pandas reads it, with more of its options.

    Raises:
        DataError: it cannot be read.
    """
    try:
        frame: pd.DataFrame = pd.read_csv(
            path, sep=text.separator, na_values=list(text.missing), encoding=text.encoding,
            decimal=text.decimal, low_memory=False, skipinitialspace=text.separator != " ",
            compression="gzip" if path.suffix.lower() == ".gz" else None,
            header="infer" if text.header else None, **options,
        )  # fmt: skip
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: cannot be read as separated columns: {error}") from error
    return frame


def _without_trailing_blanks(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Words without the blanks after them, which make no other level; pandas skips those before."""
    for name in frame:
        if pd.api.types.infer_dtype(frame[name], skipna=True) == "string":
            words = frame[name].str.rstrip(" \t")
            frame[name] = words.mask(words.isin([*NO_VALUE, *missing]))
    return frame


def without(frame: pd.DataFrame, missing: Sequence[str]) -> pd.DataFrame:
    """Columns that have types, with no value where a word or number of `missing` stands."""
    types = pd.api.types
    numbers = [number for word in missing if (number := _number(word)) is not None]
    found = {}
    for name in frame:
        column = frame[name]
        numeric = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
        wanted = _as_typed(numbers, column) if numeric else list(missing)
        if column.dtype == np.float16:  # which pandas looks up nothing in
            column, wanted = column.astype(np.float32), pd.Series(wanted, dtype=np.float32)
        gone = column.isin(wanted)
        if numbers and column.dtype == object:  # of decimals, which are no words
            typed = column.map(lambda value: isinstance(value, Real | Decimal))
            gone |= typed & column.where(typed).astype(float).isin(numbers)
        if gone.any():
            found[str(name)] = column.mask(gone)
    return frame.assign(**found)


def _as_typed(numbers: Sequence[float], column: pd.Series) -> Sequence[float] | pd.Series:
    """Numbers as a column of few bits rounds them."""
    if not pd.api.types.is_float_dtype(column):
        return numbers
    with np.errstate(over="ignore"):
        return pd.Series(numbers, dtype=np.float64).astype(column.dtype)


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def check_names(
    path: Path, names: Sequence[str], otherwise: str = "", *, named: bool = True
) -> None:
    """Raise DataError unless every column has a name of its own, or `named` is false.

    Args:
        otherwise: what else can be done where names stand twice.
    """
    if not any(names):
        raise DataError(f"{path}: the file is empty; expected a header with the columns' names")
    if not named:
        return
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name:
            raise DataError(
                f"{path}: column {place + 1} of {len(names)} has no name in the header; give it "
                "one, or leave the column out (of row numbers: pandas' to_csv(index=False))"
            )
        if name in seen:
            raise DataError(
                f"{path}: the header has the column {name!r} more than once",
                cure=f"rename one{otherwise}",
            )
        seen.add(name)


def _check_separator(path: Path, fields: Sequence[str], text: Text) -> None:
    """Raise DataError where the first line is one field in which another separator stands."""
    others = [other for other in SEPARATORS if len(fields) == 1 and other in fields[0]]
    if others:
        written = r"\t" if others[0] == "\t" else others[0]  # a terminal shows a tab as spaces
        if fields[0].startswith("#"):
            raise DataError(f"{path}: the first line is a comment, {fields[0]!r}; leave it out")
        raise DataError(
            f"{path}: the {'header' if text.header else 'first row'} is separated by "
            f"{SEPARATORS[others[0]]} {others[0]!r}, expected "
            f"{SEPARATORS.get(text.separator, 'character')} {text.separator!r}",
            cure=f"set 'dataset.separator=\"{written}\"'",
        )


def check_columns(path: Path | str, key: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Raise DataError where a column that the setting `key` names is not there."""
    for column in wanted:
        if column not in names:
            near = get_close_matches(str(column), names[:1000], n=3) or list(names)[:20]
            raise DataError(f"{path} has no column {column!r}; nearest: {', '.join(near)}", key=key)
