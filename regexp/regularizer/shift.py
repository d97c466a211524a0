"""Translate images by whole pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.image_operations import Padding


@dataclass(frozen=True)
class Shift(Regularizer, kind="input", neutral={"fraction": 0.0}, data=("images",)):
    """Move each image by whole pixels, each direction uniform in -m..m, m = round(fraction * side).

    This is to pad the image by m pixels on every side and to cut out its former size at random (at
    1/8 the 4 pixels of 32 that are usual). Pixels are moved, never computed, so every value keeps
    its bits. Labels stay.

    Helps: objects that are not centred; a convolutional network, which is nearly blind to shifts,
    gains less than one of linear layers, and centred objects (galaxy cut-outs) gain little.

    Costs: two gathers of the images, next to nothing.

    Args:
        fraction: largest shift, as a share of the image's height and of its width, in [0, 1].
        padding: from outside the image come `zeros` (the mean of standardized inputs), the pixels
            of its `border`, or its `reflection` (edge pixel repeated).

    Raises:
        ValueError: for a number out of its range or another padding.

    Reference:
        K. He et al., Deep residual learning for image recognition, CVPR 2016, section 4.2.
        https://arxiv.org/abs/1512.03385
    """

    fraction: Annotated[float, Range(0, 1)]
    padding: Padding

    def batch(self, step: Step, batch: Batch) -> Batch:
        images = batch.inputs
        for axis in (-2, -1):
            images = _move(images, self._pixels(step, images, axis), axis, self.padding)
        return batch._replace(inputs=images)

    def _pixels(self, step: Step, images: Tensor, axis: int) -> Tensor:
        """The shift of every row along an axis, int64 [rows]."""
        fraction = torch.as_tensor(self.fraction, dtype=torch.float64, device=images.device)
        most = (fraction * images.shape[axis]).round()
        drawn = step.rng.uniform((len(images),)).double()  # in float32 the product may round up
        return ((2 * most + 1) * drawn).floor().long() - most.long()


def _move(images: Tensor, pixels: Tensor, axis: int, padding: str) -> Tensor:
    """The images [rows, channels, height, width], each moved down or right by its `pixels`."""
    side = images.shape[axis]
    source = torch.arange(side, device=images.device) - pixels[:, None]  # [rows, side]
    inside = (source >= 0) & (source < side)
    if padding == "reflection":
        source = source % (2 * side)  # the image and its mirror image, again and again
        source = torch.minimum(source, 2 * side - 1 - source)
    source = source.clamp(0, side - 1)
    along = (len(images), 1, side, 1) if axis == -2 else (len(images), 1, 1, side)
    moved = images.gather(axis, source.view(along).expand(images.shape))
    return torch.where(inside.view(along), moved, 0) if padding == "zeros" else moved
