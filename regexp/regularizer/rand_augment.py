"""RandAugment: a few operations on each image, drawn at random, all of one magnitude."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import offsets, resample

OPERATIONS = (
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y", "brightness",
    "contrast", "color", "sharpness", "solarize", "posterize",
)  # fmt: skip


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


def transform(images: Tensor, operation: Tensor, sign: Tensor, magnitude: Tensor) -> Tensor:
    """One operation on each image.

    Args:
        images: [rows, channels, height, width].
        operation: indices into `OPERATIONS`, [rows].
        sign: -1 or 1, [rows].
        magnitude: in [0, 1], no dimension.
    """
    masks = {
        name: (operation == index)[:, None, None, None] for index, name in enumerate(OPERATIONS)
    }
    signed = (sign.to(images.dtype) * magnitude)[:, None, None, None]
    black, white = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)

    base = images  # of the blends: x where there is none
    for name, value in (
        ("brightness", black),
        ("contrast", images.mean((1, 2, 3), keepdim=True)),
        ("color", images.mean(1, keepdim=True)),
        ("sharpness", _smooth(images)),
    ):
        base = torch.where(masks[name], value, base)
    result = images + 0.9 * signed * (images - base)

    bright = images > white - magnitude * (white - black)
    result = torch.where(masks["solarize"] & bright, black + white - images, result)
    levels = torch.exp2(8 - 4 * magnitude).round()
    result = torch.where(masks["posterize"], _posterize(images, black, white, levels), result)

    moves = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
    moved = torch.stack([masks[name] for name in moves]).any(0)
    return torch.where(moved, _move(images, masks, signed), result)


def _smooth(images: Tensor) -> Tensor:
    """The mean of 3 x 3 pixels, the middle one of weight 5; pixels of the border stay."""
    y, x = (torch.arange(side, device=images.device) for side in images.shape[-2:])
    inside = ((y > 0) & (y < y[-1]))[:, None] & (x > 0) & (x < x[-1])
    total = images
    for axis in (-2, -1):  # a roll goes round, which reaches the border alone
        total = total + total.roll(1, axis) + total.roll(-1, axis)
    return torch.where(inside, (total + 4 * images) / 13, images)


def _posterize(images: Tensor, black: Tensor, white: Tensor, levels: Tensor) -> Tensor:
    """Rounded down to one of equal levels; white belongs to the uppermost."""
    width = (white - black) / levels
    level = ((images - black) / torch.where(width > 0, width, 1)).floor()  # 0 in a plain image
    return black + torch.minimum(level, levels - 1) * width


def _move(images: Tensor, masks: Mapping[str, Tensor], signed: Tensor) -> Tensor:
    """Images rotated, sheared or translated, resampled bilinearly, with 0 from outside."""
    height, width = images.shape[-2:]

    def amount(name: str, most: float) -> Tensor:
        return torch.where(masks[name], most * signed, 0).squeeze(1)  # [rows, 1, 1]

    x, y = offsets(images)
    angle = amount("rotate", math.pi / 6)
    right, down = amount("translate_x", 150 / 331), amount("translate_y", 150 / 331)
    seen_x = x * angle.cos() + y * (amount("shear_x", 0.3) - angle.sin()) - right * width
    seen_y = y * angle.cos() + x * (amount("shear_y", 0.3) + angle.sin()) - down * height
    return resample(images, torch.stack([seen_x, seen_y], -1))
