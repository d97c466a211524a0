"""Images of an HDF5 file, read when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import DataError
from regexp.dataset.lazy import Images
from regexp.dataset.pixels import area_average, check_size


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
        check_size(path, size, height, width)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        unique, inverse = np.unique(rows, return_inverse=True)  # h5py takes each number once
        first, last = int(unique[0]), int(unique[-1])
        whole = last - first + 1 == len(unique)
        stored = self._open()[slice(first, last + 1) if whole else unique]  # slices are faster
        images = stored.transpose(0, 3, 1, 2)
        if self.size is not None:
            images = area_average(images, self.size)
        return images[inverse]

    def _open(self) -> Any:
        if self._stored is None:
            file = open_hdf5(self.path)
            if self.key not in file:
                raise DataError(
                    f"{self.path}: no {self.key!r} in it; found: {', '.join(file) or 'nothing'}"
                )
            self._stored = file[self.key]
        return self._stored

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_stored": None}


def open_hdf5(path: Path) -> Any:
    """The file, open for reading.

    Raises:
        DataError: no h5py, or a damaged file.
    """
    try:
        return import_h5py().File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: cannot be read as HDF5: {error}") from error


def import_h5py() -> Any:
    """The library, which is not installed by default.

    Raises:
        DataError: it is missing.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "HDF5 files are read with h5py, which is not installed; install it by "
            "pip install 'regexp[hdf5]'"
        ) from error
    return h5py
