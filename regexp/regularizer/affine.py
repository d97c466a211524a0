"""Rotation by any angle and zoom: images resampled on a turned or scaled grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.image_operations import Padding, offsets, resample


@dataclass(frozen=True)
class Rotate(Regularizer, kind="input", neutral={"degrees": 0.0}, data=("images",)):
    """Rotate each image about its centre by an angle uniform in [-degrees, degrees].

    The pixel at the offset (x, y) from the centre takes the value at
    (x cos a - y sin a, x sin a + y cos a), interpolated bilinearly, which blurs a little; y points
    down, so that a > 0 turns anticlockwise. Corners show what `padding` puts outside the image.
    Labels stay.

    Helps: images without an up, as galaxies (180 degrees: any angle; it keeps the winding of a
    spiral), and small angles for photographs and handwriting; not where the angle is the label.

    Costs: one bilinear resampling of the batch, little beside a convolutional network's step.

    Args:
        degrees: largest angle, in [0, 180].
        padding: outside the image lie `zeros` (the mean of standardized inputs), the pixels of
            its `border`, or its `reflection` (edge pixel repeated).

    Raises:
        ValueError: for a number out of its range or another padding.

    Reference:
        P. Simard et al., Best practices for convolutional neural networks applied to visual
        document analysis, ICDAR 2003, section 2. https://doi.org/10.1109/ICDAR.2003.1227801
    """

    degrees: Annotated[float, Range(0, 180)]
    padding: Padding

    def batch(self, step: Step, batch: Batch) -> Batch:
        angle = _symmetric(step, batch.inputs) * (self.degrees * (math.pi / 180))
        sine, cosine = angle.sin(), angle.cos()
        matrix = torch.stack([cosine, -sine, sine, cosine], -1).unflatten(-1, (2, 2))
        images = _transformed(batch.inputs, matrix, angle != 0, self.padding)
        return batch._replace(inputs=images)


@dataclass(frozen=True)
class Zoom(Regularizer, kind="input", neutral={"amount": 0.0}, data=("images",)):
    """Magnify each image about its centre by a factor uniform in [1 - amount, 1 + amount].

    The pixel at the offset r from the centre takes the value at r / factor, interpolated
    bilinearly. A factor above 1 cuts the borders off; below 1 they show what `padding` puts
    outside the image. Labels stay.

    Helps: where objects come in several sizes, as at several distances; not where the size tells
    the classes apart.

    Costs: one bilinear resampling of the batch, little beside a convolutional network's step.

    Args:
        amount: largest change of the factor, in [0, 1).
        padding: outside the image lie `zeros` (the mean of standardized inputs), the pixels of
            its `border`, or its `reflection` (edge pixel repeated).

    Raises:
        ValueError: for a number out of its range or another padding.

    Reference:
        S. Dieleman et al., Rotation-invariant convolutional neural networks for galaxy morphology
        prediction, MNRAS 450 (2015), on data augmentation. https://arxiv.org/abs/1503.07077
    """

    amount: Annotated[float, Range(0, 1, open_high=True)]
    padding: Padding

    def batch(self, step: Step, batch: Batch) -> Batch:
        factor = 1 + _symmetric(step, batch.inputs) * self.amount
        eye = torch.eye(2, dtype=factor.dtype, device=factor.device)
        matrix = eye / factor[:, None, None]
        images = _transformed(batch.inputs, matrix, factor != 1, self.padding)
        return batch._replace(inputs=images)


def _symmetric(step: Step, images: Tensor) -> Tensor:
    """One number a row, uniform on [-1, 1), in the precision of the images."""
    return 2 * step.rng.uniform((len(images),)).to(images.dtype) - 1


def _transformed(images: Tensor, matrix: Tensor, moved: Tensor, padding: str) -> Tensor:
    """The images [rows, channels, height, width] seen at matrix @ (x, y), pixels from the centre.

    Args:
        images: to be resampled, bilinearly.
        matrix: [rows, 2, 2].
        moved: [rows]; the others keep their bits.
        padding: what lies outside, see `Padding`.
    """
    # By hand: affine_grid cannot be lifted over runs, and would shear images that are not square.
    pixels = torch.stack(torch.broadcast_tensors(*offsets(images)), -1)  # [height, width, (x, y)]
    seen = torch.einsum("rij,hwj->rhwi", matrix, pixels)
    resampled = resample(images, seen, padding)
    return torch.where(moved[:, None, None, None], resampled, images)
