"""Images of an HDF5 file, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import DataError
from regexp.dataset.lazy import Images
from regexp.dataset.limits import check_fits
from regexp.dataset.pixels import area_average, check_reducible


class HDF5Images(Images):
    """Images in an HDF5 file, reduced as they are read; no more of them than that are in memory.

    The file is opened when it is first read, again after this object has been pickled.

    Args:
        path: the file.
        key: of the images in it, uint8 [rows, height, width, channels].
        size: pixels a side that they are reduced to by `area_average`; None to leave them.

    Raises:
        DataError: no h5py; a damaged file; no such images; images that are too small.
    """

    def __init__(self, path: Path, key: str, size: int | None) -> None:
        self.path = path
        self.key = key
        self._stored: Any = None
        stored = self._open()
        if stored.dtype != np.uint8 or stored.ndim != 4:
            raise DataError(
                f"{path}: {key!r} is {stored.dtype} of shape {list(stored.shape)}, expected uint8 "
                "[rows, height, width, channels]"
            )
        rows, height, width, channels = stored.shape
        self.size = size
        self.shape = (rows, channels, size or height, size or width)
        check_reducible(path, size, height, width)
        check_fits(path, self.ROWS_AT_ONCE * height * width * channels * 4)  # bytes of a float32

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        unique, inverse = np.unique(rows, return_inverse=True)  # h5py takes each number once
        first, last = int(unique[0]), int(unique[-1])
        whole = last - first + 1 == len(unique)
        with reading(self.path):  # slices are faster
            stored = self._open()[slice(first, last + 1) if whole else unique]
        images = stored.transpose(0, 3, 1, 2)
        if self.size is not None:
            images = area_average(images, self.size)
        return images[inverse]

    def _open(self) -> Any:
        if self._stored is None:
            self._stored = stored_array(open_hdf5(self.path), self.path, self.key)
        return self._stored

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_stored": None}


def open_hdf5(path: Path) -> Any:
    """The file, open for reading; DataError if h5py is missing or the file damaged."""
    library = import_h5py()
    with reading(path):
        return library.File(path, "r")


def stored_array(file: Any, path: Path, key: str) -> Any:
    """An array of an open file that lies in the file itself, not yet read.

    Raises:
        DataError: there is none; or it would be read from other files, of which the file's author
            could name any on this machine; or the file is damaged.
    """
    h5py = import_h5py()
    with reading(path):
        if key not in file:
            raise DataError(f"{path}: no {key!r} in it; found: {', '.join(file) or 'nothing'}")
        stored = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
        if not isinstance(stored, h5py.Dataset) or stored.external or stored.is_virtual:
            raise DataError(
                f"{path}: {key!r} is no array of the file's own, but a link or a group; write a "
                "copy that holds it"
            )
        return stored


def stored_column(file: Any, path: Path, key: str, rows: int) -> NDArray[Any]:
    """An array [rows] of an open file, read.

    Raises:
        DataError: as `stored_array`; it is of another shape.
    """
    stored = stored_array(file, path, key)
    if stored.shape != (rows,):
        shape = None if stored.shape is None else list(stored.shape)
        raise DataError(f"{path}: {key!r} is of shape {shape}, expected [{rows}]")
    check_fits(path, rows * stored.dtype.itemsize)
    with reading(path):
        return np.asarray(stored[:])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make a DataError of whatever the library raises on a damaged file."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: cannot be read as HDF5: {error}") from error


def import_h5py() -> Any:
    """The library, which is not installed by default; DataError if it is missing."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "HDF5 files are read with h5py, which is not installed; install it by "
            "pip install 'regexp[hdf5]'"
        ) from error
    return h5py
