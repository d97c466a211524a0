"""TrivialAugment: one operation on each image, of a magnitude that is drawn as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.image_operations import OPERATIONS, transform

LEVELS = 30
"""The paper's magnitudes are 0 .. 30."""


@dataclass(frozen=True)
class TrivialAugment(Regularizer, kind="input", neutral={"magnitude": 0.0}, data=("images",)):
    """Apply one operation to each image, drawn out of the twelve of `rand_augment`.

    Its magnitude is drawn for each image too, uniformly from the 31 levels 0, 1/30 ... 1 of
    `magnitude`, and its sign by a coin. So there is nothing to tune: 10 is the method. The
    operations and their ranges are those of `rand_augment` (in the paper: TA (RA)), without
    autocontrast and equalize; the wider ranges of TA (Wide) are others. Labels stay.

    Helps: as `rand_augment`, without its search. Where the label has a direction, or hangs on
    brightness or colour, some of the operations destroy it. It does not flip: add that where it is
    right.

    Costs: all operations are computed for every image and one is kept, which is noticeable beside
    the step of a small convolutional network.

    Args:
        magnitude: the largest that is drawn, in [0, 10], in the units of `rand_augment`; 0 changes
            nothing.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        S. Mueller, F. Hutter, TrivialAugment: tuning-free yet state-of-the-art data augmentation,
        ICCV 2021, algorithm 1. https://arxiv.org/abs/2103.10158
    """

    magnitude: Annotated[float, Range(0, 10)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        images, rows = batch.inputs, len(batch.inputs)
        largest = torch.as_tensor(self.magnitude, dtype=images.dtype, device=images.device) / 10
        operation = step.rng.integers(len(OPERATIONS), (rows,))
        sign = 2 * step.rng.integers(2, (rows,)) - 1
        level = step.rng.integers(LEVELS + 1, (rows,)).to(images.dtype) / LEVELS
        changed = transform(images, operation, sign, largest * level)
        return batch._replace(inputs=torch.where(largest > 0, changed, images))
