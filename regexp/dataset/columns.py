"""Numbers from a text file of separated columns, with errors that say where."""

from __future__ import annotations

import codecs
import csv
import gzip
import math
import re
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import DataError
from regexp.dataset.limits import LINE, check_fits

UTF_8 = "utf-8-sig"
"""Spreadsheets put a byte order mark in front of the first column's name."""

END = "\0"
"""After the last line; no text has it."""

_COMMA = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.ASCII | re.IGNORECASE)

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


@dataclass(frozen=True)
class Columns:
    """Columns read from a file.

    Args:
        values: float64, [rows, columns], finite.
        lines: the line of the file that each row ends on, counted from 1, [rows].
    """

    path: Path
    values: NDArray[np.float64]
    lines: NDArray[np.int64]

    def refuse(self, row: int, column: str, fault: str) -> NoReturn:
        """Raise the error of a field, whose row is an index of `values`."""
        raise DataError(
            f"{self.path}: {_place(row + 1, self.lines[row])}, column {column!r}: {fault}"
        )


def read_columns(
    path: Path,
    columns: Sequence[str],
    separator: str,
    encoding: str = UTF_8,
    decimal: str = ".",
    *,
    comma: str = "",
) -> Columns:
    """Read some columns of numbers; the others are skipped and cost no memory.

    One pass in plain Python (about 4 s for the 667,944 rows of Galaxy Zoo): faster readers accept
    rows with a field too many or too few, and so take in shifted columns without a word.

    Args:
        path: a text file with a header, gzipped if its name ends in `.gz`.
        columns: the columns wanted, in this order.
        separator: the character between two fields.
        encoding: as Python names it.
        decimal: "." or ",", the character before the decimals of a number.
        comma: what to do about numbers with a comma that are none.

    Raises:
        DataError: the file is empty, damaged or separated otherwise; a column is missing; a row is
            too short or too long; a field is no finite number.
    """
    number = float if decimal == "." else _with_comma
    table = read_fields(path, separator, encoding)
    _, header = next(table)
    indices = find_columns(path, header, columns, separator)
    values, lines = array("d"), array("q")
    for line, fields in table:
        try:
            numbers = [number(fields[index]) for index in indices]
            good = math.isfinite(sum(numbers))
        except ValueError:
            good = False
        if not good:
            place = f"{path}: {_place(len(lines) + 1, line)}"
            named = dict(zip(columns, (fields[index].strip() for index in indices), strict=True))
            _refuse_fields(place, named, number, comma)
        values.extend(numbers)
        lines.append(line)
    if not lines:
        raise DataError(f"{path}: a header and no rows; the file is cut short")
    return Columns(
        path,
        np.frombuffer(values, dtype=np.float64).reshape(-1, len(columns)),
        np.frombuffer(lines, dtype=np.int64),
    )


def read_fields(
    path: Path, separator: str, encoding: str = UTF_8, *, header: bool = True
) -> Iterator[tuple[int, list[str]]]:
    """The fields of a text file, row by row: the header, stripped, then all rows of its length.

    Args:
        path: a text file, gzipped if its name ends in `.gz`.
        separator: the character between two fields.
        encoding: as Python names it.
        header: whether the first line has the names of the columns; they are 1, 2, 3 ... if not.

    Yields:
        The line that the row ends on, counted from 1, and its fields. Blank lines are left out; the
        header of an empty file has no fields, and one that is not there is on line 0.

    Raises:
        DataError: the file is damaged; a row is too short or too long.
    """
    with open_text(path, encoding) as file:
        # "a, b": the space is no part of the field, nor does it hide a quotation mark
        lines = text_lines(path, file)
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ")
        first = next((fields for fields in reader if fields), [])  # behind blank lines
        names = [name.strip() for name in first]
        if names and names[-1].endswith(END):
            _check_closed(path, names)
            names = []
        if not header:
            names = [str(place + 1) for place in range(len(names))]
        yield int(header), names
        row = 0
        for fields in reader if header or not names else chain([first], reader):
            if not fields:
                continue  # a blank line
            if fields[-1].endswith(END):
                _check_closed(path, fields)
                return
            row += 1
            if len(fields) != len(names):
                raise DataError(
                    f"{path}: {_place(row, reader.line_num)} has {len(fields)} fields, the "
                    f"{'header' if header else 'first row'} {len(names)}: the row is cut short, or "
                    "has a separator too many"
                )
            yield reader.line_num, fields


def text_lines(path: Path, file: IO[str]) -> Iterator[str]:
    """The lines of a text, none of which fills the memory, and `END`."""
    size = 0
    while line := file.readline(LINE):
        size += len(line)
        if len(line) == LINE:
            raise DataError(f"{path}: a line of more than {LINE:,} characters; expected rows")
        if "\0" in line:
            raise DataError(f"{path}: no text, there is a NUL byte in it; is it a binary file?")
        check_fits(path, size)
        yield line
    yield END


def _check_closed(path: Path, fields: list[str]) -> None:
    """`END` is a line of its own; else it is in a field whose quotation mark has no other."""
    if fields != [END]:
        raise DataError(
            f"{path}: a quotation mark is not closed; all that follows it became one field, "
            f"{_shorten(fields[-1].rstrip(END), 60)!r}"
        )


def _place(row: int, line: int) -> str:
    return f"row {row} (line {line})"


def find_columns(
    path: Path, header: list[str], columns: Sequence[str], separator: str
) -> list[int]:
    """Where the columns are in the header; DataError if one is missing or stands there twice."""
    if not any(header):
        raise DataError(f"{path}: the file is empty; expected a header with {', '.join(columns)}")
    missing = [column for column in columns if column not in header]
    if missing:
        for other, name in SEPARATORS.items():
            names = [field.strip().strip('"') for field in separator.join(header).split(other)]
            if other != separator and set(columns) <= set(names):
                raise DataError(
                    f"{path}: line 1 (the header) is separated by {name} {other!r}, expected "
                    f"{SEPARATORS.get(separator, 'character')} {separator!r}"
                )
        near = get_close_matches(missing[0], header[:1000], n=3)
        hint = f"nearest: {', '.join(near)}; " if near else ""
        raise DataError(
            f"{path}: line 1 (the header) has no column {', '.join(map(repr, missing))} "
            f"({hint}found: {_shorten(', '.join(header), 300)})"
        )
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise DataError(f"{path}: line 1 (the header) has the column {twice[0]!r} more than once")
    return [header.index(column) for column in columns]


def _with_comma(field: str) -> float:
    """The number that a field spells, with a comma before its decimals."""
    if "." in field:
        raise ValueError
    return float(field.replace(",", "."))


def _refuse_fields(
    row: str, fields: Mapping[str, str], number: Callable[[str], float], comma: str
) -> NoReturn:
    """Raise the error for the first field, by its column, that is no finite number."""
    for column, text in fields.items():
        place = f"{row}, column {column!r}:"
        if not text:
            raise DataError(f"{place} empty, expected a number")
        try:
            value = number(text)
        except ValueError:
            cure = comma if _COMMA.fullmatch(text) else ""
            raise DataError(f"{place} {_shorten(text, 60)!r} is no number", cure=cure) from None
        if not math.isfinite(value):
            raise DataError(f"{place} {text!r}, expected a finite number")
    raise DataError(f"{row}: numbers too large to be added up")


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


@contextmanager
def naming_encoding(path: Path) -> Iterator[None]:
    """Tell of `dataset.encoding` where the text of a file has another than was taken."""
    try:
        yield
    except DataError as error:
        if not isinstance(error.__cause__, UnicodeError):
            raise
        raise DataError(
            str(error), cure=f"if it is text in another encoding, set {_other_than(path)}"
        ) from error


def _other_than(path: Path) -> str:
    """The encoding that a file which is no UTF-8 may have, as a command line sets it."""
    with path.open("rb") as file:
        start = file.read(2)
    marked = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Excel's "Unicode text"
    return f"'dataset.encoding={'utf-16' if marked else 'latin-1'}'"


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    """The file as text; whatever goes wrong while it is read becomes a `DataError`."""
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    try:
        with opened(path, "rt", encoding=encoding, newline="") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: the gzip file is damaged or cut short ({error}); delete it and download it "
            "again"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: no {encoding.removesuffix('-sig').upper()} text (byte "
            f"{error.object[error.start]:#04x}: {error.reason}), perhaps compressed or "
            "binary"
        ) from error
    except UnicodeError as error:  # UTF-16 without its first bytes
        raise DataError(f"{path}: no {encoding.upper()} text ({error})") from error
    except csv.Error as error:
        raise DataError(
            f"{path}: cannot be read as separated columns: {error}; is a quotation mark not closed?"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
