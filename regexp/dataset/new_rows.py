"""Rows without targets, read as the rows were that a run was trained on.

What a column is was told by all rows then: a new file of three rows cannot tell it again. So the
levels of categories are those of the run, and every other column holds numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import frames, kinds, new_columns, new_images, written
from regexp.dataset.data import DataError
from regexp.dataset.lazy import ChannelScaler, LazyInputs
from regexp.dataset.limits import check_fits
from regexp.dataset.preparation import Preparation
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
        flat = pd.DataFrame(array.reshape(len(array), *shape), columns=list(preparation.columns))
        return _table(flat, preparation, text, bare=True)
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
    return frame.assign(**written.read_words(path, text, frame, preparation.levels))


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
    values = np.stack(
        [new_columns.numbers(frame[name], frames.Text(","), "") for name in columns], axis=1
    )
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise DataError(f"row {row + 1}, column {columns[column]!r}: no value, expected a number")
    return values


def _table(
    frame: pd.DataFrame, preparation: Preparation, text: frames.Text, *, bare: bool = False
) -> NDArray[np.float64]:
    """[rows, columns], NaN where a number is missing, categories as numbers of their levels.

    Args:
        frame: the rows.
        preparation: of a run.
        text: how its text files are written.
        bare: see `regexp.dataset.new_columns.numbers`.
    """
    frame = frame.reset_index(drop=True)  # messages count its rows
    frame = frame.rename(columns=str) if text.header else _numbered(frame, preparation)
    _check_columns(frame, preparation.columns)
    frame = frame[list(preparation.columns)]
    frame = frames.without(kinds.decoded(frame), text.missing)
    values = np.empty((len(frame), len(preparation.columns)))
    for place, name in enumerate(preparation.columns):
        if name in preparation.levels:
            values[:, place] = new_columns.codes(frame[name], preparation.levels[name], text)
        else:
            unit = None if preparation.units is None else preparation.units.get(name, "")
            values[:, place] = new_columns.numbers(frame[name], text, unit, bare=bare)
    return values


def _numbered(frame: pd.DataFrame, preparation: Preparation) -> pd.DataFrame:
    """A frame whose columns are named 1, 2, 3 ..., as those of a file without a header are.

    pandas numbers them from 0, which are other columns: a shift that nothing else would tell.
    """
    names: list[object] = list(frame.columns)
    if "0" in names:  # pandas' numbers, as a Parquet file has them
        names = [int(n) if isinstance(n, str) and n.isdecimal() else n for n in names]
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


def _as_numbers(array: NDArray[Any]) -> NDArray[np.float64]:
    try:
        if np.iscomplexobj(array):
            raise TypeError
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"an array of {array.dtype}, expected numbers") from error
