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
from regexp.dataset.frames import check_names

_NAME = r"""('[^']*'|"[^"]*"|\S+)"""
_DATE = re.compile(rf"(@attribute {_NAME}\s+)date\b.*", re.IGNORECASE | re.DOTALL)
_KEYWORD = re.compile(r"^\s*(@\w+)\s+")


def is_arff(path: Path) -> bool:
    """Whether a file's name says that it is an ARFF, perhaps gzipped."""
    return path.name.lower().removesuffix(".gz").endswith(".arff")


def read_arff(path: Path, encoding: str) -> tuple[pd.DataFrame, dict[str, tuple[str, ...]]]:
    """All columns of a file, missing where it has `?`, and the levels of the nominal ones in order.

    Numeric attributes are numbers, nominal ones pandas' categories, strings and dates text. A row
    may be sparse: what it does not name is 0, or the first level. Read by liac-arff, which OpenML's
    and scikit-learn's own readers are: scipy's knows neither strings nor sparse rows nor a value
    in quotes where the first row has none, and takes rows with a field too many.

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
    check_names(path, list(types))
    if not content["data"]:
        raise DataError(f"{path}: a header and no rows")
    frame = pd.DataFrame(content["data"], columns=list(types))
    declared = {
        name: tuple(dict.fromkeys(levels))
        for name, levels in types.items()
        if isinstance(levels, list)
    }
    nominal = {name: pd.CategoricalDtype(list(levels)) for name, levels in declared.items()}
    return frame.astype(nominal), declared


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
