"""What looks wrong in a table, by its values: nothing is changed, all of it is told."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset.assigned import WORDS
from regexp.dataset.frames import Text
from regexp.dataset.kinds import cure, listed, quoted
from regexp.dataset.words import number_of
from regexp.errors import few

FAR = 5
"""How many times the spread of all other values a sentinel is away from them."""

MANY = 10
"""Different values that a column needs for a number that no sentinel looks like to be one."""

MOST = 3
"""Sentinels that a column has at most."""

LEAST = 20
"""Rows of a table that is looked at for identifiers; fewer numbers differ by chance."""

LARGE = 2.0**53
"""Whole numbers beyond it are no longer all different as doubles."""

_SENTINEL = re.compile(r"9{2,}(\.9+)?|7{3,}|8{3,}")
_FILLS = {f"{value:.7g}" for value in (
    1e20, 1e30, 1e36, 9.96921e36, 3.4028235e38, 1.7976931348623157e308,  # of netCDF, FITS ...
    2**15, 2**15 - 1, 2**16 - 1, 2**31, 2**31 - 1, 2**32 - 1, 2**63, 2**63 - 1,
)}  # fmt: skip

_DATES = (
    r"\d{4}([-/.])\d{1,2}\1\d{1,2}([T ]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[-+]\d{2}:?\d{2}))?)?",
    r"\d{1,2}([-/.])\d{1,2}\1(\d{2}|\d{4})( \d{1,2}:\d{2}(:\d{2})?)?",
    r"\d{1,2}[- ][A-Za-z]{3,9}\.?,?[- ]\d{2,4}",
    r"[A-Za-z]{3,9}\.? \d{1,2},? \d{4}",
    r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?",
)


def sentinels(values: NDArray[np.float64]) -> dict[float, int]:
    """Values of a column that look as if they stood for a missing one, and in how many rows.

    They are beyond all others, and so far that nothing of the kind comes by itself: `FAR` times the
    whole spread of these. A number that programs use (-9999, 1e20) may be nearer if it is repeated:
    `FAR` times the spread of the middle 90%, or, as -99, -999 ..., the only negative number of the
    column. Any other must be repeated. 0 is never one: it stands for nothing as often.

    Args:
        values: [rows], NaN where missing.
    """
    ordered = np.sort(values[~np.isnan(values)])
    distinct, starts, counts = np.unique(ordered, return_index=True, return_counts=True)
    bounds = [*starts, len(ordered)]
    low, high = 0, len(distinct)
    while True:
        for below, above in ((1, 0), (0, 1), (1, 1)):
            first, last = low + below, high - above
            ends = [*range(low, first), *range(last, high)]
            if last - first > 1 and all(
                _is_far(distinct[at], counts[at], ordered[bounds[first] : bounds[last]])
                for at in ends
            ):
                low, high = first, last
                break
        else:
            break
    ends = [*range(low), *range(high, len(distinct))]
    if len(ends) > MOST:  # numbers of all sizes, each far from the ones before
        return {}
    return {float(distinct[at]): int(counts[at]) for at in ends}


def _is_far(value: float, count: int, others: NDArray[np.float64]) -> bool:
    """Whether a value beyond all `others`, which are in order, looks like a sentinel."""
    usual, repeated = _is_usual(value), count > 1
    if value == 0 or not (usual or (repeated and len(np.unique(others)) >= MANY)):
        return False
    spread = others[-1] - others[0]
    gap = others[0] - value if value < others[0] else value - others[-1]
    if gap >= FAR * spread:
        return True
    if not (usual and repeated):
        return False
    middle = np.quantile(others, 0.95) - np.quantile(others, 0.05)
    return bool((value < 0 <= others[0]) or (gap >= spread and gap >= FAR * middle))


def _is_usual(value: float) -> bool:
    """Whether programs write this number where none is known."""
    written = f"{abs(value):.10g}"
    return bool(_SENTINEL.fullmatch(written)) or f"{abs(value):.7g}" in _FILLS


def is_identifier(column: pd.Series) -> bool:
    """Whether a column has another whole number in every row, as row numbers and identifiers do.

    These are all numbers of a range in any order, or rise or fall from row to row, or are so large
    that doubles do not tell them apart.
    """
    types = pd.api.types
    if len(column) < LEAST or not types.is_numeric_dtype(column) or column.isna().any():
        return False
    if not types.is_integer_dtype(column) and (column % 1 != 0).any():
        return False
    if not column.is_unique:
        return False
    least, most = column.min(), column.max()
    whole = int(most) - int(least) == len(column) - 1
    ordered = column.is_monotonic_increasing or column.is_monotonic_decreasing
    return whole or ordered or float(least) > LARGE


def is_date(column: pd.Series) -> bool:
    """Whether the words of a column are dates or times of day."""
    words = column.dropna().unique()
    texts = [word.strip() for word in words if isinstance(word, str)]
    if not texts or len(texts) < len(words):
        return False
    return any(all(re.fullmatch(form, text) for text in texts) for form in _DATES)


def names_splits(levels: Sequence[str]) -> bool:
    """Whether the levels of a category are words of two splits or more, and no others."""
    of = {word: split for split, words in WORDS.items() for word in words}
    named = [of.get(level.strip().lower()) for level in levels]
    return None not in named and len(set(named)) > 1


def are_dates(values: NDArray[np.float64]) -> bool:
    """Whether numbers are dates such as 20240131, [rows], NaN where missing."""
    known = values[~np.isnan(values)]
    if len(known) == 0 or len(np.unique(known)) < MANY or (known % 1 != 0).any():
        return False
    year, month, day = known // 10000, known // 100 % 100, known % 100
    parts = ((year, 1800, 2200), (month, 1, 12), (day, 1, 31))
    return all(bool(((low <= part) & (part <= high)).all()) for part, low, high in parts)


def told_of_sentinels(
    columns: Mapping[str, NDArray[np.float64]], missing: Sequence[str], also: str = ""
) -> Iterator[str]:
    """A line on values that may stand for missing ones, if there are any.

    Args:
        columns: of numbers, by name, [rows] each, NaN where missing.
        missing: the setting, which the cure keeps.
        also: what else is to be set.
    """
    found: dict[float, dict[str, int]] = {}
    for name, values in columns.items():
        for value, count in sentinels(values).items():
            found.setdefault(value, {})[name] = count
    if not found:
        return
    places = "; ".join(
        f"{_written(value)} in {listed(list(rows))} ({_rows(list(rows.values()))})"
        for value, rows in found.items()
    )
    shared = [value for value, rows in found.items()
              if any((values == value).any() for name, values in columns.items()
                     if name not in rows)]  # fmt: skip
    apart = [value for value in found if value not in shared]
    told = f"far from all other numbers: {places}; "
    if apart:
        named = cure("missing", [*missing, *map(_written, apart)])
        told += (
            f"if {'this stands' if len(apart) == 1 else 'these stand'} for missing: {named}{also}"
        )
    if shared:
        told += "; " if apart else ""
        told += f"{few([*map(_written, shared)])} may be a number in other columns: leave the "
        told += "fields empty in the file that have none"
    yield told


def told_of_identifiers(names: Sequence[str], drop: Sequence[str]) -> Iterator[str]:
    """A line on inputs that look like row numbers or identifiers, if there are any.

    Args:
        names: of the columns.
        drop: the setting, which the cure keeps.
    """
    if names:
        yield (
            f"another value in every row of {listed(names)}, as row numbers and identifiers "
            f"have; to leave {'it' if len(names) == 1 else 'them'} out: "
            f"{cure('drop', [*drop, *names])}"
        )


def told_of_splits(names: Sequence[str]) -> Iterator[str]:
    """A line on inputs whose words are those of a split, if there are any."""
    if names:
        yield (
            f"column {names[0]!r} is an input, and names splits; if it says the split of each row: "
            f"{shlex.quote(f'dataset.split={quoted(names[0])}')}"
        )


def told_of_dates(names: Sequence[str], drop: Sequence[str]) -> Iterator[str]:
    """A line on inputs that are dates, if there are any; see `told_of_identifiers`."""
    if names:
        yield (
            f"dates in {listed(names)} are categories or plain numbers to the network, no time; to "
            f"leave {'it' if len(names) == 1 else 'them'} out: {cure('drop', [*drop, *names])}"
        )


def told_of_header(frame: pd.DataFrame, text: Text) -> Iterator[str]:
    """A line on names of columns that look like a row of data, if they do.

    Args:
        frame: as it was read, with the names.
        text: how the file is written.
    """
    if text.header and _is_row(frame, text.decimal):
        names = few([repr(str(name)) for name in frame])
        yield (
            f"the header looks like a row of data ({names}); if it is: 'dataset.header=false', "
            f"which names the columns 1 to {frame.shape[1]}"
        )


def _is_row(frame: pd.DataFrame, decimal: str) -> bool:
    """Whether the name of each column is a number above numbers, or a word of the column."""
    numbers = [number_of(str(name), decimal) for name in frame]
    known = [number for number in numbers if number is not None]
    steps = {after - before for before, after in pairwise(known)}
    if len(known) == len(numbers) and len(steps) == 1 and min(steps) > 0:
        return False  # 0, 1, 2: numbers of columns, or years
    for number, name in zip(numbers, frame, strict=True):
        column = frame[name]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            if number is None:
                return False
        elif str(name) not in set(column.dropna().astype(str).str.strip()):
            return False
    return True


def _written(value: float) -> str:
    """A number as a word of a CSV that pandas takes for the same."""
    if value.is_integer() and abs(value) < 10**15:
        return str(int(value))
    short = f"{value:g}"
    return short if math.isclose(float(short), value, rel_tol=0) else repr(value)


def _rows(counts: Sequence[int]) -> str:
    least, most = min(counts), max(counts)
    rows = f"{most:,}" if least == most else f"{least:,} to {most:,}"
    return f"{rows} {'row' if most == 1 else 'rows'}"
