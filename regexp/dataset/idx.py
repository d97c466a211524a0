"""Images and labels in IDX files, the layout of MNIST and of data made to stand in its place."""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from regexp.dataset.base import DataError, Dataset, Table
from regexp.dataset.checks import are_distinct, check_size, unexpected
from regexp.dataset.files import find, joint_checksum
from regexp.dataset.image_files import SUFFIXES, reduced
from regexp.dataset.lazy import ArrayImages, ChannelScaler, LazyInputs
from regexp.dataset.limits import check_fits
from regexp.dataset.pixels import RGB, check_reducible, pixel_names
from regexp.dataset.preparation import Preparation

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""NumPy's types by their number in a file."""

OTHERS = (*SUFFIXES, ".npy")
"""Suffixes of new images that are in no IDX file."""

BLOCK = 4096
"""Images that are reduced at once."""


@dataclass(frozen=True, kw_only=True)
class IDX(Dataset):
    """Images of MNIST, Fashion-MNIST and the like; inputs [rows, channels, size, size].

    They are standardized by channel over the training rows, and held in memory as bytes once for
    all runs. MNIST's 60,000 training images are split by the seed into training and validation
    rows, its 10,000 others are the test of every run; `dataset.test` changes nothing then.

    Args:
        path: the folder of the files, absolute or relative to the working directory or the data
            folder. Each is looked for under its name, with `.gz` behind it, and with a point for
            the hyphen before `idx`.
        images: file of bytes [rows, height, width], or [rows, height, width, channels].
        labels: file of whole numbers [rows].
        test_images, test_labels: the same of the test split; both None: rows for the test are split
            off by the seed.
        classes: names of the labels 0, 1, ...; None if the numbers are the names.
        size: pixels a side that images are reduced to, see `regexp.dataset.pixels.area_average`;
            None to leave them.

    References:
        LeCun, Cortes & Burges, "The MNIST database of handwritten digits", 1998 (the format is its
        last section); Xiao, Rasul & Vollgraf, "Fashion-MNIST", 2017,
        https://arxiv.org/abs/1708.07747
    """

    name: ClassVar[str] = "idx"
    PLACES: ClassVar[frozenset[str]] = frozenset({
        "path", "images", "labels", "test_images", "test_labels",
    })  # fmt: skip

    path: str
    images: str
    labels: str
    test_images: str | None
    test_labels: str | None
    classes: Sequence[str] | None
    size: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size(self.size)
        if (self.test_images is None) != (self.test_labels is None):
            both = "a file where dataset.test_images is one, and null where that is null;"
            raise unexpected("test_labels", self.test_labels, both)
        if self.classes is not None and not are_distinct(self.classes, 2):
            names = "two or more different names, or null for the numbers;"
            raise unexpected("classes", list(self.classes), names)

    def read(self, folder: Path) -> Table:
        """All images as bytes, those of the test last, and their labels."""
        path = find("dataset.path", self.path, folder)
        if not path.is_dir():
            raise DataError(f"{path} is no folder", key="dataset.path")
        pairs = [("images", "labels")]
        if self.test_images is not None:
            pairs.append(("test_images", "test_labels"))
        files: list[Path] = []
        parts = []
        for images, labels in pairs:
            found = [self._find(path, key) for key in (images, labels)]
            files += found
            parts.append(self._read(*found))
        if len({part[0].shape[1:] for part in parts}) > 1:
            shapes = " and ".join(str(list(part[0].shape[1:])) for part in parts)
            raise DataError(f"images of training and test differ in shape: {shapes}", key=str(path))
        array, labels_of_all = (np.concatenate(of_all) for of_all in zip(*parts, strict=True))
        targets, classes = self._numbered(path, labels_of_all)
        rows, channels, height, width = array.shape
        colours = RGB if channels == len(RGB) else [f"channel {n}" for n in range(channels)]
        return Table(
            inputs=ArrayImages(array),
            targets=targets,
            columns=pixel_names(colours if channels > 1 else ("grey",), height, width),
            classes=classes,
            checksum=joint_checksum(files, path),
            source=str(path),
            name=path.name,
            held_out=np.arange(len(parts[0][0]), rows) if len(parts) > 1 else None,
        )

    def preprocessing(self, table: Table) -> ChannelScaler:
        """Standardization of each channel over the training images."""
        return ChannelScaler()

    def read_inputs(self, rows: Any, preparation: Preparation) -> NDArray[Any] | LazyInputs:
        """Images of a file of bytes such as `images`, or as `Dataset.read_inputs` takes them."""
        if isinstance(rows, Path) and rows.is_file() and rows.suffix.lower() not in OTHERS:
            rows = read_idx(rows)
        return super().read_inputs(rows, preparation)

    def _find(self, folder: Path, key: str) -> Path:
        """The file that the setting `key` names, as it is or under its other names."""
        name = str(getattr(self, key)).removesuffix(".gz")
        names = [
            f"{one}{end}" for one in (name, name.replace("-idx", ".idx")) for end in ("", ".gz")
        ]
        for one in names:
            if (folder / one).is_file():
                return folder / one
        raise DataError(
            f"no {' nor '.join(dict.fromkeys(names))} in {folder}",
            key=f"dataset.{key}",
            cure="put it there, or name the file that is there"
            + ("; null for data without a test split" if key.startswith("test") else ""),
        )

    def _read(self, images: Path, labels: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Images [rows, channels, height, width], reduced, and labels [rows]."""
        array, numbers = read_idx(images), read_idx(labels)
        if array.dtype != np.uint8 or array.ndim not in (3, 4):
            raise DataError(
                f"{images}: {array.dtype} of shape {list(array.shape)}, expected uint8 [rows, "
                "height, width] or [rows, height, width, channels]"
            )
        if numbers.dtype.kind not in "iu" or numbers.shape != (len(array),):
            raise DataError(
                f"{labels}: {numbers.dtype} of shape {list(numbers.shape)}, expected whole numbers "
                f"[{len(array)}], one for each image of {images.name}"
            )
        check_reducible(images, self.size, *array.shape[1:3])
        array = array[:, None] if array.ndim == 3 else array.transpose(0, 3, 1, 2)
        blocks = [array[first : first + BLOCK] for first in range(0, len(array), BLOCK)]
        array = np.concatenate([reduced(block, self.size) for block in blocks])
        return array, numbers.astype(np.int64)

    def _numbered(
        self, path: Path, labels: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        """Class indices and the classes' names."""
        if self.classes is None:
            numbers, targets = np.unique(labels, return_inverse=True)
            return targets.astype(np.int64), tuple(str(number) for number in numbers)
        wrong = np.flatnonzero((labels < 0) | (labels >= len(self.classes)))
        if len(wrong):
            raise DataError(
                f"{path}: image {wrong[0] + 1} has the label {labels[wrong[0]]}, expected 0 to "
                f"{len(self.classes) - 1}, as dataset.classes names {len(self.classes)}"
            )
        return labels, tuple(self.classes)


def read_idx(path: Path) -> NDArray[Any]:
    """The array of an IDX file, gzipped if its name ends in `.gz`.

    Two zero bytes, the number of a type, that of the dimensions, their sizes as big-endian 32-bit
    numbers, and the values, big-endian, the last dimension fastest.

    Raises:
        DataError: it is no such file, damaged, or has no values.
    """
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return _array(path, file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip file is damaged or cut short ({error})") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def _array(path: Path, file: io.BufferedIOBase) -> NDArray[Any]:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in TYPES or start[3] == 0:
        raise DataError(f"{path}: no IDX file, it starts with {start.hex(' ') or 'nothing'}")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{path}: the file is cut short, it ends within its sizes")
    shape = struct.unpack(f">{start[3]}I", sizes)
    dtype = np.dtype(TYPES[start[2]])
    expected = math.prod(shape) * dtype.itemsize
    if expected == 0:
        raise DataError(f"{path}: an array of shape {list(shape)} without a value")
    check_fits(path, expected)
    values = file.read(expected + 1)  # and whether there are more
    if len(values) != expected:
        found = "more" if len(values) > expected else f"{len(values):,}"
        raise DataError(f"{path}: {expected:,} bytes are of shape {list(shape)}, found {found}")
    return np.frombuffer(values, dtype=dtype).reshape(shape).astype(dtype.newbyteorder("="))
