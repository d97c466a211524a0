"""The text of a `.ts` file, with errors that say where.

aeon has a reader, with numba behind it (600 MB) and with versions of pandas below ours; it makes
all names of classes small letters, and takes words that are in no list of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.columns import END, UTF_8, open_text, text_lines
from regexp.dataset.data import DataError
from regexp.errors import count

TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class TSFile:
    """What a file has.

    Args:
        series: float64 [time, channels] each, NaN where a value is missing.
        labels: what stands last in each row.
        lines: the line of the file that each stands on, counted from 1.
        classes: those that the header declares, in order; empty for a regression.
        regression: whether labels are numbers to predict.
    """

    path: Path
    series: list[NDArray[np.float64]]
    labels: list[str]
    lines: list[int]
    classes: tuple[str, ...]
    regression: bool

    @property
    def channels(self) -> int:
        return int(self.series[0].shape[1])

    @property
    def described(self) -> str:
        labels = "a number to predict" if self.regression else "a class"
        return f"{count(self.channels, 'channel')} and {labels}"


def read_ts(path: Path, *, channels: int | None = None) -> TSFile:
    """Read a file of series.

    A header of lines that start with `@`, the last of which is `@data`, and a series a line: the
    values of a channel with commas between them, a colon, those of the next channel, and at last
    the class, or with `@targetLabel true` a number. `?` and NaN are missing. Blank lines and those
    that start with `#` or `%` say nothing.

    Args:
        path: the file, UTF-8, gzipped if its name ends in `.gz`.
        channels: of a network that is to predict the rows, which need no class then, and may say
            anything for it; None if every class has to be declared.

    Raises:
        DataError: the file is empty, damaged, has time stamps or nothing to predict; a row differs
            in its channels; a value is no finite number; a class is not declared.
    """
    with open_text(path, UTF_8) as file:
        lines = _numbered(text_lines(path, file))
        classes, regression = _header(path, lines, labelled=channels is None)
        declared = regression or bool(classes)
        series: list[NDArray[np.float64]] = []
        labels: list[str] = []
        numbers: list[int] = []
        for number, line in lines:
            place = f"{path}: series {len(series) + 1} (line {number})"
            *values, label = line.split(":")
            if len(values) + 1 == channels and (not declared or "," in label):  # one more channel
                values, label = [*values, label], ""
            label = label.strip()
            one = _values(place, values)
            if series and one.shape[1] != series[0].shape[1]:
                raise DataError(
                    f"{place} has {one.shape[1]} channels, the first {series[0].shape[1]}"
                )
            if channels is None and not regression and label not in classes:
                raise DataError(
                    f"{place}: {label!r} is none of the classes that the header declares "
                    f"({', '.join(classes[:10])})"
                )
            series.append(one)
            labels.append(label)
            numbers.append(number)
    if not series:
        raise DataError(f"{path}: a header and no series; the file is cut short")
    return TSFile(path, series, labels, numbers, classes, regression)


def _numbered(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """The lines that say something, stripped, with their numbers."""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if line != END and text and text[0] not in "#%":
            yield number, text


def _header(
    path: Path, lines: Iterator[tuple[int, str]], *, labelled: bool
) -> tuple[tuple[str, ...], bool]:
    """The classes that it declares, and whether it is a regression; it may be neither if not
    `labelled`.
    """
    said: dict[str, list[str]] = {}
    for number, line in lines:
        if not line.startswith("@"):
            raise DataError(
                f"{path}: line {number} stands before @data and is no line of a header: it does "
                "not start with @; expected a .ts file"
            )
        key, *words = line[1:].split() or [""]
        if key.lower() == "data":
            break
        said[key.lower()] = words
    else:
        raise DataError(f"{path}: no line says @data; expected a .ts file")

    def true(key: str) -> bool:
        word = " ".join(said.get(key, ["false"])[:1]).lower()
        if word not in TRUTH:
            raise DataError(f"{path}: @{key} says {word!r}, expected true or false")
        return TRUTH[word]

    if true("timestamps"):
        raise DataError(f"{path}: values with time stamps are not read; expected @timeStamps false")
    regression, classes = true("targetlabel"), tuple(said.get("classlabel", [])[1:])
    if labelled and not regression and not (true("classlabel") and classes):
        raise DataError(
            f"{path}: the header declares nothing to predict; expected @classLabel true and the "
            "classes, or @targetLabel true"
        )
    return (() if regression else classes), regression


def _values(place: str, channels: list[str]) -> NDArray[np.float64]:
    """[time, channels] of one series."""
    if not channels:
        raise DataError(f"{place} has no colon; expected values, a colon and what to predict")
    columns = [[_number(place, text) for text in channel.split(",")] for channel in channels]
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise DataError(f"{place} has channels of {min(lengths)} to {max(lengths)} values")
    return np.array(columns).T.copy()


def _number(place: str, text: str) -> float:
    word = text.strip()
    if word == "?" or word.lower() == "nan":
        return math.nan
    try:
        value = float(word)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise DataError(f"{place}: {word!r} is no finite number")
    return value
