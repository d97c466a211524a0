"""ARFF files, as Weka and OpenML write them: columns with types, and levels that are declared."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from regexp.dataset.base import DataError
from regexp.dataset.columns import END, open_text, text_lines

_NAME = r"""('[^']*'|"[^"]*"|\S+)"""
_DATE = re.compile(rf"(@attribute {_NAME}\s+)date\b.*", re.IGNORECASE | re.DOTALL)
_KEYWORD = re.compile(r"^\s*(@\w+)\s+")


def is_arff(path: Path) -> bool:
    """Whether a file's name says that it is an ARFF, perhaps gzipped."""
    return path.name.lower().removesuffix(".gz").endswith(".arff")


def read_arff(path: Path, encoding: str) -> pd.DataFrame:
    """All columns of a file, missing where it has `?`.

    Numeric attributes are numbers, strings and dates text, nominal ones pandas' categories with the
    levels that are declared, in order. What a sparse row does not name is 0, or the first level.

    Read by liac-arff, which OpenML's and scikit-learn's own readers are: scipy's knows neither
    strings nor sparse rows nor a value in quotes where the first row has none, and takes rows with
    a field too many.

    Args:
        path: the file, gzipped if its name ends in `.gz`.
        encoding: as Python names it.

    Raises:
        DataError: no liac-arff; the file is empty or damaged, or has relational attributes.
    """
    library = _import_arff()
    with open_text(path, encoding) as file:
        lines = (line for line in text_lines(path, file) if line != END)
        try:
            content = library.load(_readable(lines))
        except (DataError, UnicodeError, OSError, EOFError, zlib.error):
            raise  # of the text, see open_text
        except Exception as error:  # a damaged file makes the library raise anything
            raise DataError(f"{path}: cannot be read as ARFF: {_told(error)}") from error
    types: Mapping[str, Any] = dict(content["attributes"])
    frame = pd.DataFrame(content["data"], columns=list(types))
    nominal = {name: levels for name, levels in types.items() if isinstance(levels, list)}
    return frame.astype(
        {name: pd.CategoricalDtype(list(dict.fromkeys(nominal[name]))) for name in nominal}
    )


def declared(frame: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """The levels of the columns of categories of `read_arff`, in order."""
    kinds = {str(name): column.dtype for name, column in frame.items()}
    return {
        name: tuple(kind.categories)
        for name, kind in kinds.items()
        if isinstance(kind, pd.CategoricalDtype)
    }


def _readable(lines: Iterator[str]) -> Iterator[str]:
    """The lines with a header as the library reads it: blanks for tabs, and dates as text."""
    for line in lines:
        line = _KEYWORD.sub(r"\1 ", line)
        yield _DATE.sub(r"\1string", line)
        if line.strip().lower() == "@data":
            break
    yield from lines


def _told(error: Exception) -> str:
    try:
        return str(error)
    except (TypeError, ValueError):  # the library formats the row, which may have percent signs
        return f"{type(error).__name__}, at line {getattr(error, 'line', '?')}"


def _import_arff() -> Any:
    """The library, which is not installed by default; DataError if it is missing."""
    try:
        import arff
    except ImportError as error:
        raise DataError(
            "ARFF files are read with liac-arff, which is not installed; install it by "
            "pip install 'regexp[arff]'"
        ) from error
    return arff
