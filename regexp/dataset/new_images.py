"""Images without targets, read as those were that a run was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.data import DataError
from regexp.dataset.image_files import SUFFIXES, files_below, read_images
from regexp.dataset.lazy import ArrayImages, LazyInputs
from regexp.dataset.pixels import area_average
from regexp.dataset.preparation import Preparation
from regexp.errors import count

if TYPE_CHECKING:
    from regexp.dataset.base import Dataset

ARRAYS = (".npy",)
"""Suffixes of files that hold one array."""


def files_of(folder: Path) -> list[Path]:
    """The files of images in a folder and below, in the order of their rows; or the one image.

    Raises:
        DataError: there are none.
    """
    if folder.is_file() and folder.suffix.lower() in SUFFIXES:
        return [folder]
    files = files_below(folder)
    if not files:
        raise DataError(
            f"no {', '.join(SUFFIXES)} file", key=str(folder),
            cure=f"give one, a folder of them, or an array in a {ARRAYS[0]} file",
        )  # fmt: skip
    return files


def of_files(folder: Path, preparation: Preparation, dataset: Dataset) -> LazyInputs:
    """The images of `files_of`.

    Args:
        folder: or one image.
        preparation: of a run.
        dataset: says how images are cut and what they are reduced to.

    Raises:
        DataError: there are none, or they are of another shape.
    """
    grey, crop = preparation.read_shape[0] == 1, getattr(dataset, "crop", False)
    pixels = read_images(folder, files_of(folder), _size(dataset), crop=crop, grey=grey)
    return _as_read(pixels, preparation)


def of_array(array: NDArray[Any], preparation: Preparation, dataset: Dataset) -> LazyInputs:
    """Images [rows, height, width, 3], [rows, height, width] or as the run has them.

    Where both orders of axes fit, such as [rows, 3, 3, 3], the channels are the last.

    Args:
        array: of uint8.
        preparation: of a run.
        dataset: says what larger images are reduced to.

    Raises:
        DataError: they are of another kind, or shape.
    """
    channels, size = preparation.read_shape[0], _size(dataset)
    if array.dtype != np.uint8 or array.ndim not in (3, 4):
        raise DataError(
            f"images of {array.dtype} of shape {list(array.shape)}, expected uint8 [rows, height, "
            f"width, {channels}]"
        )
    as_the_run, wanted = array, preparation.read_shape
    if array.ndim == 3:
        array = np.repeat(array[..., None], channels, axis=-1)
    array = array.transpose(0, 3, 1, 2)
    if as_the_run.shape[1:] == wanted != array.shape[1:]:
        array = as_the_run
    array = np.ascontiguousarray(array)
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


def _size(dataset: Dataset) -> int | None:
    """What images are reduced to, pixels a side."""
    size: int | None = getattr(dataset, "size", None)
    return size
