"""RandAugment: a few operations on each image, drawn at random, all of one magnitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.image_operations import OPERATIONS, transform


@dataclass(frozen=True)
class RandAugment(Regularizer, kind="input", neutral={"magnitude": 0.0}, data=("images",)):
    """Apply `operations` operations to each image, one after another, each drawn out of twelve.

    With m = magnitude / 10, a sign s by a coin, and the ranges of AutoAugment:

    - identity
    - rotate by s * 30 m degrees; shear_x, shear_y by s * 0.3 m; translate_x, translate_y by
      s * 150/331 m of the side; bilinear, 0 comes from outside
    - brightness, contrast, color, sharpness: base + (1 + s * 0.9 m) (x - base); the base is black,
      the image's mean, the pixel's mean over channels (so that color leaves images of one channel
      as they are), or the image smoothed (3 x 3, as Pillow)
    - solarize: x above white - m (white - black) becomes black + white - x
    - posterize: x is rounded down to one of 2^(8 - 4 m) equal levels from black to white

    The paper's operations are for bytes. Preprocessed inputs have no such range, so black and
    white are the smallest and the largest value of the image itself, all channels together. Its
    autocontrast and equalize, which do nothing but use that range, are left out. Labels stay.

    Helps: small sets of photographs and larger networks; where the label has a direction, or hangs
    on brightness or colour, some of the operations destroy it (galaxies: colour tells the type).
    It does not flip: add that where it is right.

    Costs: all operations are computed for every image and one is kept, which is noticeable
    beside the step of a small convolutional network, and grows with `operations`.

    Args:
        operations: applied to each image, >= 0.
        magnitude: in [0, 10]; 0 changes nothing.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        E. Cubuk et al., RandAugment: practical automated data augmentation with a reduced search
        space, NeurIPS 2020, section 3. https://arxiv.org/abs/1909.13719
    """

    operations: Annotated[int, Range(0)]
    magnitude: Annotated[float, Range(0, 10)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        images, rows = batch.inputs, len(batch.inputs)
        magnitude = torch.as_tensor(self.magnitude, dtype=images.dtype, device=images.device) / 10
        for _ in range(self.operations):
            operation = step.rng.integers(len(OPERATIONS), (rows,))
            sign = 2 * step.rng.integers(2, (rows,)) - 1
            changed = transform(images, operation, sign, magnitude)
            images = torch.where(magnitude > 0, changed, images)
        return batch._replace(inputs=images)
