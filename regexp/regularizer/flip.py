"""Mirror images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Choice, Range, Regularizer, Step

AXES = {"horizontal": (-1,), "vertical": (-2,), "both": (-1, -2)}


@dataclass(frozen=True)
class Flip(Regularizer, kind="input", neutral={"p": 0.0}, data=("images",)):
    """Mirror each image with probability p: left and right, top and bottom, or each by its coin.

    Pixels are moved, never computed, so every value keeps its bits. Labels stay.

    Helps: images whose label has no left and right, or no up and down, as galaxies; a mirrored
    digit or letter is another one or none, and a mirrored spiral winds the other way, so never
    where clockwise and anticlockwise are classes.

    Costs: one copy of the images an axis, next to nothing.

    Args:
        p: probability that an image is mirrored along an axis, in [0, 1].
        axis: `horizontal` mirrors left and right, `vertical` top and bottom, `both` each of the
            two with its own coin.

    Raises:
        ValueError: for a number out of its range or another axis.

    Reference:
        A. Krizhevsky et al., ImageNet classification with deep convolutional neural networks,
        NeurIPS 2012, section 4.1. https://doi.org/10.1145/3065386
    """

    p: Annotated[float, Range(0, 1)]
    axis: Annotated[str, Choice(*AXES)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        images = batch.inputs
        for axis in AXES[self.axis]:
            flipped = step.rng.uniform((len(images), 1, 1, 1)) < self.p
            images = torch.where(flipped, images.flip(axis), images)
        return batch._replace(inputs=images)
