"""Random erasing: a rectangle of noise in some images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Choice, Range, Regularizer, Step, check_value
from regexp.regularizer.common import covered

TRIES = 10  # as torchvision; the paper tries until a rectangle fits


@dataclass(frozen=True)
class RandomErasing(Regularizer, kind="input", neutral={"p": 0.0}, data=("images",)):
    """Replace, with probability p, a rectangle of an image by noise or zeros.

    Its share of the area is uniform in [smallest, largest], the logarithm of its height / width
    uniform in [log ratio, -log ratio] (as in torchvision and timm; the paper draws height / width
    itself uniformly, which prefers tall ones), its place uniform where it lies inside. Up to 10
    rectangles are drawn until one fits; if none does, the image stays. Sides are rounded to whole
    pixels. The noise is N(0, 1) for every pixel and channel: it looks like the data after
    standardization, not before (the paper draws uniformly from the range of bytes). Labels stay.

    Helps: objects that may be hidden in part; like cutout, with other sizes and noise. Not where
    the class hangs on one small detail.

    Costs: a few numbers an image, and a draw a pixel for noise: next to nothing.

    Args:
        p: probability that an image is changed, in [0, 1].
        smallest: share of the image's area, in [0, largest].
        largest: share of the image's area, in [0, 1].
        ratio: of the rectangle's sides, at the most extreme, in (0, 1].
        fill: `noise`, or `zeros` (the mean of standardized inputs).

    Raises:
        ValueError: for a number out of its range or another `fill`.

    Reference:
        Z. Zhong et al., Random erasing data augmentation, AAAI 2020, algorithm 1.
        https://arxiv.org/abs/1708.04896
    """

    p: Annotated[float, Range(0, 1)]
    smallest: float
    largest: Annotated[float, Range(0, 1)]
    ratio: Annotated[float, Range(0, 1, open_low=True)]
    fill: Annotated[str, Choice("noise", "zeros")]

    def check(self) -> None:
        check_value("smallest", self.smallest, Range(0, self.largest))

    def batch(self, step: Step, batch: Batch) -> Batch:
        images, rng = batch.inputs, step.rng
        rows, height, width = len(images), *images.shape[-2:]
        erased = rng.uniform((rows,)) < self.p
        share, shape = rng.uniform((rows, TRIES)).double(), rng.uniform((rows, TRIES)).double()
        area = height * width * (self.smallest + share * (self.largest - self.smallest))
        ratio = torch.as_tensor(self.ratio, dtype=torch.float64, device=images.device)
        elongation = (ratio.log() * (2 * shape - 1)).exp()  # height / width
        tall, wide = (area * elongation).sqrt().round(), (area / elongation).sqrt().round()
        fits = (tall <= height) & (wide <= width)
        first = fits.long().argmax(-1, keepdim=True)  # the first that fits; 0 if none does
        tall, wide = tall.gather(-1, first)[:, 0], wide.gather(-1, first)[:, 0]
        erased = erased & fits.any(-1)
        rectangle = (
            erased[:, None, None]
            & _placed(height, tall, rng.uniform((rows,)))[:, :, None]
            & _placed(width, wide, rng.uniform((rows,)))[:, None, :]
        ).unsqueeze(1)
        new = rng.normal(images.shape).to(images.dtype) if self.fill == "noise" else 0
        return batch._replace(inputs=torch.where(rectangle, new, images))


def _placed(side: int, pixels: Tensor, place: Tensor) -> Tensor:
    """Which of 0..side-1 an interval of `pixels` [rows] covers [rows, side].

    Args:
        side: of the image.
        pixels: of the interval, at most `side`.
        place: uniform on [0, 1): 0 puts the interval first, towards 1 last.
    """
    start = (place.double() * (side - pixels + 1)).floor()
    return covered(side, start, pixels)
