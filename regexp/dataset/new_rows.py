"""Rows without targets, read as the rows were that a run was trained on.

What a column is was told by all rows then: a new file of three rows cannot tell it again. So the
levels of categories are those of the run, and every other column holds numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import frames, kinds, new_images
from regexp.dataset.data import DataError
from regexp.dataset.lazy import ChannelScaler, LazyInputs
from regexp.dataset.limits import check_fits
from regexp.dataset.preparation import Preparation
from regexp.dataset.words import check_units, number_of, unit_of
from regexp.errors import count, few

if TYPE_CHECKING:
    from regexp.dataset.base import Dataset


def inputs_of(rows: Any, preparation: Preparation, dataset: Dataset) -> NDArray[Any] | LazyInputs:
    """Inputs of new rows, which need no targets, as `Dataset.read` gives them.

    Args:
        rows: a data frame with the columns of `preparation`, of pandas or what gives one of these,
            such as polars and pyarrow; an array [rows, ...] of what was read, or the path of a file
            with either; of images also a folder, or one image.
        preparation: of a run.
        dataset: says how a text file is written, and what images are reduced to.

    Raises:
        DataError: a column is missing, a word stands where a number should, a category has a level
            that the run does not know, or an array is of another shape.
    """
    images, text = isinstance(preparation.pipeline, ChannelScaler), dataset.text()
    if isinstance(rows, Path):
        if rows.suffix.lower() in new_images.ARRAYS:
            rows = read_array(rows)
        elif images:
            return new_images.of_files(rows, preparation, dataset)
        else:
            rows = _read_frame(rows, text, preparation)
    if images:
        return new_images.of_array(np.asarray(rows), preparation, dataset)
    shape = preparation.read_shape
    rows = as_pandas(rows)
    if is_frame(rows):
        return _table(rows, preparation, text)
    array = np.asarray(rows)
    _check_axes(array.shape, preparation)
    if len(shape) == 1:  # [rows, 8, 8] of 64 columns as well
        flat = pd.DataFrame(array.reshape(len(array), -1), columns=list(preparation.columns))
        return _table(flat, preparation, text)
    return _as_numbers(array).reshape(len(array), *shape)


def as_pandas(rows: Any) -> Any:
    """Rows, as a data frame of pandas where they have columns with names.

    Raises:
        DataError: they have, and no way to give one: their order may be another than the run's.
    """
    named = hasattr(rows, "columns") or hasattr(rows, "column_names")
    if is_frame(rows) or not named:
        return rows
    if not hasattr(rows, "to_pandas"):
        raise DataError(
            f"rows of {type(rows).__name__}, expected a data frame of pandas or an array"
        )
    return rows.to_pandas()


def is_frame(rows: object) -> TypeGuard[pd.DataFrame]:
    """Whether it is a data frame."""
    return isinstance(rows, pd.DataFrame)


def read_array(path: Path) -> NDArray[Any]:
    """The array of a .npy file.

    Raises:
        DataError: it is damaged, or holds Python's objects, which would be code.
    """
    try:
        check_fits(path, path.stat().st_size)
        array = np.load(path, allow_pickle=False)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes the library raise anything
        raise DataError(f"{path}: cannot be read as an array: {error}") from error
    return np.asarray(array)


def _check_axes(given: Sequence[int], preparation: Preparation) -> None:
    """Raise DataError unless an array of rows has the run's shape, or is flat; axes of 1 are free.

    Those of [rows, channels, time] in the place of [rows, time, channels] would be mixed up.
    """
    axes, shape = given[1:], preparation.read_shape
    if axes and math.prod(axes) == math.prod(shape):
        if len(axes) == 1 or len(preparation.shape) == 1:  # of a table, [rows, 8, 8] as well
            return
        shape = preparation.shape
        if [size for size in axes if size > 1] == [size for size in shape if size > 1]:
            return
    raise DataError(
        f"an array of shape {list(given)}, expected {['rows', *shape]}".replace("'", "")
    )


def _read_frame(path: Path, text: frames.Text, preparation: Preparation) -> pd.DataFrame:
    """A file as a data frame, in which columns of categories are as they are written."""
    with as_of_the_run(text):
        frame = frames.read_frame(path, text, named=False)
    if not text.header and not frames.is_typed(path):
        _check_width(frame, preparation)
    return frame.assign(**frames.read_words(path, text, frame, preparation.levels))


@contextmanager
def as_of_the_run(text: frames.Text) -> Iterator[None]:
    """Tell how the run's own file is written where one is written otherwise.

    The settings that a cure names are those of the run, and nothing changes them any more.
    """
    try:
        yield
    except DataError as error:
        if not error.cure and not isinstance(error.__cause__, UnicodeError):
            raise
        names = "" if text.header else ", without a header"
        raise DataError(
            error.problem,
            key=error.key,
            cure=f"write it as the run's own rows were: {text.encoding.removesuffix('-sig')} text, "
            f"fields separated by {text.separator!r}, decimals after {text.decimal!r}{names}",
        ) from error


def _check_width(frame: pd.DataFrame, preparation: Preparation) -> None:
    """Raise DataError where numbered columns may be other ones, as one before them is left out."""
    found, columns = len(frame.columns), preparation.columns
    first = set(columns) == {str(place + 1) for place in range(len(columns))}
    if not first and preparation.numbered not in (None, found):
        raise DataError(
            f"{count(found, 'column')} without a header, and the run was trained on a file of "
            f"{preparation.numbered}: the place of each tells what it is, so give all of them, "
            "with anything where the target was"
        )


def numbers_of(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """Columns of numbers, none of which is missing, [rows, columns]."""
    frame = frame.reset_index(drop=True).rename(columns=str)
    _check_columns(frame, columns)
    values = np.stack([_numbers(frame[name], ".") for name in columns], axis=1)
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise DataError(f"row {row + 1}, column {columns[column]!r}: no value, expected a number")
    return values


def _table(frame: pd.DataFrame, preparation: Preparation, text: frames.Text) -> NDArray[np.float64]:
    """[rows, columns], NaN where a number is missing, categories as numbers of their levels."""
    frame = frame.reset_index(drop=True)  # messages count its rows
    frame = frame.rename(columns=str) if text.header else _numbered(frame, preparation)
    _check_columns(frame, preparation.columns)
    frame = frame[list(preparation.columns)]
    frame = frames.without(frame, text.missing)
    values = np.empty((len(frame), len(preparation.columns)))
    for place, name in enumerate(preparation.columns):
        if name in preparation.levels:
            values[:, place] = _codes(frame[name], preparation.levels[name], text.decimal)
        else:
            values[:, place] = _numbers(frame[name], text.decimal)
    return values


def _numbered(frame: pd.DataFrame, preparation: Preparation) -> pd.DataFrame:
    """A frame whose columns are named 1, 2, 3 ..., as those of a file without a header are.

    pandas numbers them from 0, which are other columns: a shift that nothing else would tell.
    """
    names: list[object] = list(frame.columns)
    places = [name for name in names if isinstance(name, int)]
    if places and 0 not in places:
        raise DataError(
            f"columns are numbered from {few([str(place) for place in places])}, without 0, the "
            "first of a file as pandas reads it; the run was trained on a file without a header, "
            "whose columns are '1', '2', '3' ...: name those of the rows so, as text"
        )
    if places and {*places} == {*range(len(names))}:  # not chosen out of more
        _check_width(frame, preparation)
    return frame.set_axis(
        [str(name + 1 if isinstance(name, int) else name) for name in names], axis=1
    )


def _check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame]:
        raise DataError(
            f"no {kinds.listed(missing)}; the run was trained on {few(columns)}, and found are "
            f"{few([str(name) for name in frame])}"
        )
    if twice := [name for name in frame.columns[frame.columns.duplicated()] if name in columns]:
        raise DataError(f"column {twice[0]!r} stands in the rows more than once; rename one")


def _numbers(column: pd.Series, decimal: str) -> NDArray[np.float64]:
    """A column of numbers, NaN where it is missing, [rows]; words may spell them, as `12%` does."""
    types = pd.api.types
    if not types.is_numeric_dtype(column) and not types.is_bool_dtype(column):
        known = column.dropna().unique()
        spelled = {word: _spelled(word, decimal) for word in known}
        if wrong := [word for word, number in spelled.items() if number is None]:
            row = int(np.flatnonzero(column == wrong[0])[0])
            raise DataError(
                f"row {row + 1}, column {column.name!r}: {wrong[0]!r} is no number, and the run "
                "was trained on numbers; leave the field empty if it is missing"
            )
        check_units(column.name, [str(word) for word in known], "write all in one way")
        column = column.map(spelled, na_action="ignore").astype(float)
    return kinds.numbers(column)


def _spelled(value: object, decimal: str) -> float | None:
    """A number, or the number that a word spells; None of anything else, such as a date."""
    if isinstance(value, str):
        return number_of(value, decimal)
    return float(value) if isinstance(value, Real | Decimal) else None


def _codes(column: pd.Series, levels: Sequence[str], decimal: str) -> NDArray[np.float64]:
    """A column of categories as numbers of the levels that the run knows, [rows]."""
    place = {level: number for number, level in enumerate(levels)}
    coded = [level for level in levels if re.fullmatch(frames.LEADING_ZEROS, level)]
    if coded and pd.api.types.is_numeric_dtype(column) and column.notna().any():
        raise DataError(
            f"column {column.name!r} holds numbers, and the run knows codes such as {coded[0]!r}, "
            "which are others without their zeros; give it as text, as by "
            f"pandas.read_csv(FILE, dtype={{{column.name!r}: str}})"
        )
    column = column.astype(object)  # a pandas category takes no other values
    if "" not in place:
        column = column.mask(column == "")  # no value, as in a CSV
    missing = column.isna()
    found = {value: _level_of(value, place, decimal) for value in column[~missing].unique()}
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


def _level_of(value: object, place: Mapping[str, int], decimal: str) -> int | None:
    """The number of the level that a value names: as it is written, or as what it spells."""
    spellings = [kinds.level_of(value)]
    if isinstance(value, str):
        word = value.strip()
        spellings.append(word)
        if word.lower() in ("true", "false"):
            spellings.append(word.capitalize())  # as pandas reads TRUE
        read = [number_of(word, mark) for mark in (decimal, ".")] if not unit_of(word) else []
        # 1.0 is 1, and 01 is 1 if it was no code
        spellings += [kinds.level_of(number) for number in read if number is not None]
    return next((place[name] for name in spellings if name in place), None)


def _as_numbers(array: NDArray[Any]) -> NDArray[np.float64]:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"an array of {array.dtype}, expected numbers") from error
