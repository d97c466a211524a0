"""Turn images by quarters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, NotApplicable, Range, Regularizer, Step


@dataclass(frozen=True)
class Rotate90(Regularizer, kind="input", neutral={"p": 0.0}, data=("images",)):
    """Turn each image, with probability p, by 0, 90, 180 or 270 degrees, each equally likely.

    Pixels are moved, never computed, so every value keeps its bits. Labels stay. With flips these
    are all eight symmetries of the square, under which the sky has no preference.

    Helps: images without an up, as galaxies, cells, or views from above; a quarter turn keeps the
    winding of a spiral (a flip does not), but 6 turned twice is 9, so not for digits and letters.

    Costs: three copies of the images, next to nothing.

    Args:
        p: probability that an image is turned (in one of four cases by 0 degrees), in [0, 1].

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for images that are not square.

    Reference:
        S. Dieleman et al., Rotation-invariant convolutional neural networks for galaxy morphology
        prediction, MNRAS 450 (2015), on data augmentation. https://arxiv.org/abs/1503.07077
    """

    p: Annotated[float, Range(0, 1)]

    def check_rows(self, shape: Sequence[int]) -> None:
        height, width = shape[-2:]
        if height != width:
            raise NotApplicable(
                f"a quarter turn of {height} x {width} pixels has another shape",
                key="regularizer.rotate90",
                cure="use square images, or regularizer=flip",
            )

    def batch(self, step: Step, batch: Batch) -> Batch:
        images = batch.inputs
        shape = (len(images), 1, 1, 1)
        turned = step.rng.uniform(shape) < self.p
        quarters = torch.where(turned, step.rng.integers(4, shape), 0)
        result = images
        for quarter in (1, 2, 3):
            result = torch.where(quarters == quarter, images.rot90(quarter, (-2, -1)), result)
        return batch._replace(inputs=result)
