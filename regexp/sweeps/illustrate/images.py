"""Pictures of images: examples of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from regexp.compare.figures import style as s
from regexp.dataset.base import CLASSIFICATION
from regexp.random import Rng

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regexp.dataset.base import Data

CLASSES, EXAMPLES = 12, 8
"""Rows and columns of the grid, at most."""


@s.styled
def examples(data: Data, seed: int) -> Figure:
    """Draw some training images of each class, a row a class; only those are read.

    Args:
        data: with inputs [rows, channels, height, width].
        seed: keys the choice of images.
    """
    groups = picked(data, seed)
    total = len(data.classes) or 1
    rows = [row for group in groups for row in group]
    images = data.train.inputs.index_select(0, torch.tensor(rows, dtype=torch.int64)).numpy()
    shown = dict(zip(rows, displayed(images), strict=True))
    down, (high, wide) = len(groups), images.shape[2:]
    figure, axes = s.single(0.8 * EXAMPLES + 1.4, 0.85 * down * high / wide + 0.6)
    axes.imshow(montage([[shown[row] for row in group] for group in groups], high, wide))
    middles = [line * (high + gap(high)) + (high - 1) / 2 for line in range(down)]
    names = [s.short(str(name), 18) for name in data.classes[:down]]
    axes.set_yticks(middles if names else [], names)
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=8)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    many = f", the first {down} of {total} classes" if down < total else ""
    figure.suptitle(s.wrapped(f"{data.name}: training images of the first seed{many}"))
    return figure


def montage(lines: Sequence[Sequence[np.ndarray]], high: int, wide: int) -> np.ndarray:
    """Images in rows, with gaps that are seen through.

    Args:
        lines: images of each row, from `displayed`.
        high, wide: their sizes in pixels.

    Returns:
        [height, width, 4], the last is the opacity.
    """
    space = gap(high)
    whole = np.zeros((len(lines) * (high + space) - space, EXAMPLES * (wide + space) - space, 4))
    for line, images in enumerate(lines):
        for place, image in enumerate(images):
            part = whole[line * (high + space) :, place * (wide + space) :][:high, :wide]
            part[..., :3] = image if image.ndim == 3 else image[..., None]
            part[..., 3] = 1
    return whole


def gap(high: int) -> int:
    """Pixels between images of this height."""
    return max(1, high // 12)


def picked(data: Data, seed: int) -> list[list[int]]:
    """The training rows that are shown, a list a class, drawn from the run's stream."""
    order = Rng(seed, "illustrate", "images").permutation(len(data.train))
    if data.task != CLASSIFICATION:
        return [order[:EXAMPLES].tolist()]
    targets = data.train.targets[order]
    return [
        order[targets == index][:EXAMPLES].tolist()
        for index in range(min(len(data.classes), CLASSES))
    ]


def displayed(images: np.ndarray) -> np.ndarray:
    """Standardized images as they are shown, each channel from its least to its largest value.

    Args:
        images: [rows, channels, height, width].

    Returns:
        [rows, height, width] of one channel, else [rows, height, width, 3], from 0 to 1.
    """
    least = images.min(axis=(0, 2, 3), keepdims=True)
    spread = images.max(axis=(0, 2, 3), keepdims=True) - least
    scaled = (images - least) / np.where(spread > 0, spread, 1)
    if images.shape[1] == 3:
        return np.moveaxis(scaled, 1, -1)
    return scaled.mean(axis=1)
