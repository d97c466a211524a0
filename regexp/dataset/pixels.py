"""Sizes and names of the pixels of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from regexp.dataset.base import DataError

RGB = ("red", "green", "blue")

PIXELS = 2**22
"""Of an image that is an input, at most: each is a feature with a name."""


def area_average(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Reduce images to `size` x `size` pixels, each the rounded mean of the area it covers.

    Where `size` does not divide the images' own, a pixel at a border counts for both sides
    (`torch.nn.functional.interpolate` with mode "area").

    Args:
        images: [rows, channels, height, width].
        size: at most height and width.

    Returns:
        [rows, channels, size, size].
    """
    if images.shape[2:] == (size, size):
        return images
    values = torch.from_numpy(np.ascontiguousarray(images)).float()
    reduced: Any = F.interpolate(values, size=(size, size), mode="area")
    return reduced.round_().to(torch.uint8).numpy()


def pixel_names(channels: Sequence[str], height: int, width: int) -> tuple[str, ...]:
    """Names of the pixels of an image in the order of its flattened inputs: "red[0,31]"."""
    return tuple(
        f"{name}[{y},{x}]" for name in channels for y in range(height) for x in range(width)
    )


def check_reducible(path: Path, size: int | None, height: int, width: int) -> None:
    """Raise DataError where images of this height and width cannot be reduced to `size` pixels.

    They cannot if they are no squares, or smaller; and if huge, they have to be.
    """
    pixels = f"{width} x {height} pixels"
    if size is None and height * width > PIXELS:
        raise DataError(
            f"images of {pixels} are too large to be inputs", key=str(path), cure="set dataset.size"
        )
    if size is not None and height != width:
        raise DataError(
            f"an image of {pixels} would be distorted",
            key=str(path),
            expected="squares",
            cure="cut them out of the images first, or let dataset=image_folder do so "
            "(dataset.crop=true)",
        )
    if size is not None and size > height:
        raise DataError(
            f"{path} has images of {pixels}",
            key="dataset.size",
            got=size,
            cure=f"give at most {height}, as nothing can be gained by enlarging them",
        )
