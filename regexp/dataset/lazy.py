"""Images that runs share as bytes, and the inputs that are made of them when they are asked for.

As float32 every run's inputs would take four times the memory of the bytes, and each run would have
its own. `Images` holds or reads the bytes, once for all runs; `LazyInputs` is one run's split of
them: row numbers and the standardization that its training rows tell.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Images(ABC):
    """Images of equal shape as bytes."""

    ROWS_AT_ONCE: ClassVar[int] = 256
    """So many rows are read at once at most, whatever is asked for."""

    shape: tuple[int, int, int, int]
    """(rows, channels, height, width)"""

    @abstractmethod
    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images with these numbers, in increasing order, some perhaps more than once.

        Returns:
            [len(rows), channels, height, width].
        """

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: NDArray[np.int64]) -> LazyInputs:
        """The images with these numbers, from 0 to 255."""
        channels = self.shape[1]
        return LazyInputs(self, rows, np.zeros(channels), np.ones(channels))

    def blocks(
        self, rows: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8]]]:
        """Read rows in any order, a block at a time.

        Yields:
            Where in `rows` the images of the block belong, and the images.
        """
        order = np.argsort(rows, kind="stable")  # files are read fastest from front to back
        for first in range(0, len(order), self.ROWS_AT_ONCE):
            block = order[first : first + self.ROWS_AT_ONCE]
            yield block, self.read(rows[block])


class ArrayImages(Images):
    """Images that memory holds.

    Args:
        array: uint8 [rows, channels, height, width].
    """

    def __init__(self, array: NDArray[np.uint8]) -> None:
        assert array.ndim == 4
        assert array.dtype == np.uint8
        self.array = array
        self.shape = array.shape

    @classmethod
    def of(cls, images: Images) -> ArrayImages:
        """All of `images`, read once."""
        array = np.empty(images.shape, dtype=np.uint8)
        for places, block in images.blocks(np.arange(len(images))):
            array[places] = block
        return cls(array)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.array[rows]


class LazyInputs:
    """Rows of images, standardized when they are asked for: (bytes - mean) / scale.

    Stands where a float32 tensor [rows, channels, height, width] would, for what the program does
    with such a tensor. Can be pickled.

    Args:
        images: shared by all runs.
        rows: this run's, in order, [rows].
        mean: of each channel, [channels], from 0 to 255.
        scale: of each channel, [channels].
    """

    dtype = torch.float32

    def __init__(
        self,
        images: Images,
        rows: NDArray[np.int64],
        mean: NDArray[np.float64],
        scale: NDArray[np.float64],
    ) -> None:
        self.images = images
        self.rows = rows
        self.mean = mean
        self.scale = scale
        self.shape = torch.Size((len(rows), *images.shape[1:]))

    @property
    def in_memory(self) -> bool:
        """Whether memory holds the bytes of the images."""
        return isinstance(self.images, ArrayImages)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice) -> Tensor:
        """float32 [len(rows), channels, height, width], read now."""
        return self._read(self.rows[rows])

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """The rows of `index` in its order, read now.

        Args:
            dim: 0, the rows.
            index: integers [count], each from 0 to len(self) - 1, repeats allowed.

        Returns:
            float32 [count, channels, height, width].
        """
        assert dim == 0, "only rows are read by their numbers"
        return self._read(self.rows[index.cpu().numpy()])

    def _read(self, rows: NDArray[np.int64]) -> Tensor:
        values = torch.empty(len(rows), *self.shape[1:])
        shape = (-1, 1, 1)
        mean = torch.from_numpy(self.mean).to(values.dtype).view(shape)
        scale = torch.from_numpy(self.scale).to(values.dtype).view(shape)
        for places, block in self.images.blocks(rows):
            values[torch.from_numpy(places)] = (torch.from_numpy(block) - mean) / scale
        return values


class ChannelScaler:
    """Standardization of every channel, fitted in one pass that holds a block of rows at a time.

    With n pixels x of a channel: mean = sum(x) / n, scale = sqrt(sum(x^2) / n - mean^2), and
    infinity for a channel that does not vary, which is 0 in all images then. Sums of bytes are
    whole numbers, so nothing is rounded in them. Used as a transformer of scikit-learn would be.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def fit(self, inputs: LazyInputs) -> ChannelScaler:
        """Learn from the rows of `inputs`."""
        channels = inputs.shape[1]
        counts = np.zeros((channels, 256), dtype=np.int64)  # pixels of each channel and value
        for _, block in inputs.images.blocks(inputs.rows):
            values = block.transpose(1, 0, 2, 3).reshape(channels, -1)
            counts += np.stack([np.bincount(channel, minlength=256) for channel in values])
        count = int(counts[0].sum())
        total = counts @ np.arange(256)
        squares = counts @ np.arange(256) ** 2
        # Python's integers: some hundred images' products are beyond 64 bits.
        spread = [count * int(s) - int(t) ** 2 for s, t in zip(squares, total, strict=True)]
        self.mean = total / count
        self.scale = np.array([math.sqrt(value) / count if value else math.inf for value in spread])
        return self

    def transform(self, inputs: LazyInputs) -> LazyInputs:
        """The same rows, standardized when they are asked for."""
        return LazyInputs(inputs.images, inputs.rows, self.mean, self.scale)

    def get_feature_names_out(self, names: Sequence[str]) -> Sequence[str]:
        """A pixel stays what it is."""
        return names
