"""Rows without targets, read as the rows were that a run was trained on.

What a column is was told by all rows then: a new file of three rows cannot tell it again. So the
levels of categories are those of the run, and every other column holds numbers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regexp.dataset import frames, kinds
from regexp.dataset.data import DataError
from regexp.dataset.image_files import SUFFIXES, read_images
from regexp.dataset.lazy import ArrayImages, ChannelScaler, LazyInputs
from regexp.dataset.limits import check_fits
from regexp.dataset.pixels import area_average
from regexp.dataset.preparation import Preparation
from regexp.dataset.words import check_units, number_of, unit_of
from regexp.errors import count, few

if TYPE_CHECKING:
    from regexp.dataset.base import Dataset

ARRAYS = (".npy",)
"""Suffixes of files that hold one array."""


def inputs_of(rows: Any, preparation: Preparation, dataset: Dataset) -> NDArray[Any] | LazyInputs:
    """Inputs of new rows, which need no targets, as `Dataset.read` gives them.

    Args:
        rows: a data frame with the columns of `preparation`, an array [rows, ...] of what was read,
            or the path of a file with either; of images also a folder, or one image.
        preparation: of a run.
        dataset: says how a text file is written, and what images are reduced to.

    Raises:
        DataError: a column is missing, a word stands where a number should, a category has a level
            that the run does not know, or an array is of another shape.
    """
    images, text = isinstance(preparation.pipeline, ChannelScaler), dataset.text()
    size: int | None = getattr(dataset, "size", None)
    if isinstance(rows, Path):
        if rows.suffix in ARRAYS:
            rows = read_array(rows)
        elif images:
            grey, crop = preparation.read_shape[0] == 1, getattr(dataset, "crop", False)
            pixels = read_images(rows, files_of(rows), size, crop=crop, grey=grey)
            return _as_read(pixels, preparation)
        else:
            rows = _read_frame(rows, text, preparation.levels)
    if images:
        return _images(np.asarray(rows), preparation, size)
    shape = preparation.read_shape
    if is_frame(rows):
        return _table(rows, preparation, text)
    array = np.asarray(rows)
    if array.ndim < 2 or math.prod(array.shape[1:]) != math.prod(shape):
        raise DataError(
            f"an array of shape {list(array.shape)}, expected {['rows', *shape]}".replace("'", "")
        )
    if len(shape) == 1:  # [rows, 8, 8] of 64 columns as well
        flat = pd.DataFrame(array.reshape(len(array), -1), columns=list(preparation.columns))
        return _table(flat, preparation, text)
    return _as_numbers(array).reshape(len(array), *shape)


def files_of(folder: Path) -> list[Path]:
    """The files of images in a folder and below, in the order of their rows; or the one image.

    Raises:
        DataError: there are none.
    """
    if folder.is_file() and folder.suffix.lower() in SUFFIXES:
        return [folder]
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(
            f"no {', '.join(SUFFIXES)} file", key=str(folder),
            cure=f"give one, a folder of them, or an array in a {ARRAYS[0]} file",
        )  # fmt: skip
    return files


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


def _read_frame(path: Path, text: frames.Text, categories: Collection[str]) -> pd.DataFrame:
    """A file as a data frame, in which columns of categories are as they are written."""
    try:
        frame = frames.read_frame(path, text)
    except DataError as error:
        if not isinstance(error.__cause__, UnicodeError):
            raise
        raise DataError(
            f"{error} The rows that the run was trained on are {text.encoding.removesuffix('-sig')}"
            " text: write these so"
        ) from error
    return frame.assign(**frames.read_words(path, text, frame, categories))


def numbers_of(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.float64]:
    """Columns of numbers, none of which is missing, [rows, columns]."""
    _check_columns(frame, columns)
    values = np.stack([_numbers(frame[name], ".") for name in columns], axis=1)
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise DataError(f"row {row + 1}, column {columns[column]!r}: no value, expected a number")
    return values


def _table(frame: pd.DataFrame, preparation: Preparation, text: frames.Text) -> NDArray[np.float64]:
    """[rows, columns], NaN where a number is missing, categories as numbers of their levels."""
    frame = frame.rename(columns=str) if text.header else _numbered(frame)
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


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
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
    return frame.set_axis(
        [str(name + 1 if isinstance(name, int) else name) for name in names], axis=1
    )


def _check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    if missing := [name for name in columns if name not in frame]:
        raise DataError(
            f"no {kinds.listed(missing)}; the run was trained on {few(columns)}, and found are "
            f"{few([str(name) for name in frame])}"
        )
    if len(set(frame.columns)) < len(frame.columns):
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"column {twice!r} stands in the rows more than once; rename one")


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


def _images(array: NDArray[Any], preparation: Preparation, size: int | None) -> LazyInputs:
    """Images [rows, height, width, 3], [rows, height, width] or as the run has them."""
    channels = preparation.read_shape[0]
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DataError(
            f"images of {array.dtype} of shape {list(array.shape)}, expected uint8 [rows, height, "
            f"width, {channels}]"
        )
    if array.shape[1:] != preparation.read_shape:
        if array.ndim == 3:
            array = np.repeat(array[..., None], channels, axis=-1)
        array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
    if size is not None and array.shape[2] == array.shape[3] > size:
        array = area_average(array, size)
    return _as_read(array, preparation)


def _as_read(array: NDArray[np.uint8], preparation: Preparation) -> LazyInputs:
    """Images [rows, channels, height, width], which are of the run's shape."""
    channels, height, width = preparation.read_shape
    if array.shape[1:] != preparation.read_shape:
        raise DataError(
            f"images of {array.shape[3]} x {array.shape[2]} pixels and "
            f"{count(array.shape[1], 'channel')}; the run was trained on {width} x {height} pixels "
            f"and {count(channels, 'channel')}"
        )
    return ArrayImages(array)[np.arange(len(array))]


def _as_numbers(array: NDArray[Any]) -> NDArray[np.float64]:
    try:
        return array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"an array of {array.dtype}, expected numbers") from error
