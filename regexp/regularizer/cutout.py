"""Cutout: a square of zeros in every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import covered


@dataclass(frozen=True)
class Cutout(Regularizer, kind="input", neutral={"side": 0.0}, data=("images",)):
    """Set a square of each image to 0, its centre uniform over the pixels.

    The side is round(side * min(height, width)) pixels. The square may stand over the border, so
    less than its area is lost on average; DeVries & Taylor found that this matters. Zero is the
    mean of standardized inputs, which is what the paper masks with; of inputs in [0, 1] it is
    black. All channels are masked alike. Labels stay.

    Helps: images whose class shows in several places; not where it hangs on one small detail, nor
    where the object is smaller than the square.

    Costs: one mask an image, next to nothing.

    Args:
        side: of the square, as a share of the image's shorter side, in [0, 1]. The paper has 16 of
            32 pixels for CIFAR-10, 8 for CIFAR-100, 20 for SVHN.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        T. DeVries, G. Taylor, Improved regularization of convolutional neural networks with cutout
        (2017), section 3. https://arxiv.org/abs/1708.04552
    """

    side: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        images = batch.inputs
        height, width = images.shape[-2:]
        share = torch.as_tensor(self.side, dtype=torch.float64, device=images.device)
        pixels = (share * min(height, width)).round().long()
        tall, wide = (
            covered(side, step.rng.integers(side, (len(images),)) - pixels // 2, pixels)
            for side in (height, width)
        )
        square = (tall[:, :, None] & wide[:, None, :]).unsqueeze(1)
        return batch._replace(inputs=torch.where(square, 0, images))
