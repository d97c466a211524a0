"""What techniques on images share: resampling, and the operations that RandAugment is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from regexp.regularizer.base import Choice

Padding = Annotated[str, Choice("zeros", "border", "reflection")]
"""What may lie outside an image, in torch's words."""

OPERATIONS = (
    "identity", "rotate", "shear_x", "shear_y", "translate_x", "translate_y", "brightness",
    "contrast", "color", "sharpness", "solarize", "posterize",
)  # fmt: skip


def transform(
    images: Tensor,
    operation: Tensor,
    sign: Tensor,
    magnitude: Tensor,
    among: Collection[str] = OPERATIONS,
) -> Tensor:
    """One operation on each image; `RandAugment` says what they are.

    Args:
        images: [rows, channels, height, width].
        operation: indices into `OPERATIONS`, [rows].
        sign: -1 or 1, [rows].
        magnitude: in [0, 1], [rows], or of no dimension for all.
        among: the names of the operations that there may be; blends of others are not computed.
    """
    magnitude = magnitude.reshape(-1, 1, 1, 1)
    masks = {
        name: (operation == index)[:, None, None, None] for index, name in enumerate(OPERATIONS)
    }
    signed = sign.to(images.dtype).reshape(-1, 1, 1, 1) * magnitude
    black, white = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)

    bases: dict[str, Callable[[], Tensor]] = {
        "brightness": lambda: black,
        "contrast": lambda: images.mean((1, 2, 3), keepdim=True),
        "color": lambda: images.mean(1, keepdim=True),
        "sharpness": lambda: _smooth(images),
    }
    base = images  # of the blends: x where there is none
    for name in [name for name in bases if name in among]:
        base = torch.where(masks[name], bases[name](), base)
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


def offsets(images: Tensor) -> tuple[Tensor, Tensor]:
    """How far pixels lie from the centre of images [..., height, width], in pixels.

    Returns:
        x to the right, [1, width], and y down, [height, 1].
    """
    height, width = images.shape[-2:]
    options: Any = {"dtype": images.dtype, "device": images.device}
    x = torch.arange(width, **options) - (width - 1) / 2
    y = torch.arange(height, **options) - (height - 1) / 2
    return x[None, :], y[:, None]


def resample(images: Tensor, seen: Tensor, padding: str = "zeros") -> Tensor:
    """Images whose pixels take the values that lie at other places, interpolated bilinearly.

    Args:
        images: [rows, channels, height, width].
        seen: where each pixel looks, [rows, height, width, (x, y)], in pixels from the centre.
        padding: what lies outside, see `Padding`.
    """
    height, width = images.shape[-2:]
    grid = seen * (2 / torch.tensor([width, height], dtype=seen.dtype, device=seen.device))
    return F.grid_sample(images, grid, padding_mode=padding, align_corners=False)
