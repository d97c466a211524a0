"""CutMix of pairs of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import covered, mixed_targets


@dataclass(frozen=True)
class CutMix(
    Regularizer,
    kind="input",
    neutral={"p": 0.0},
    data=("images",),
    provides=("soft targets",),
    mixes=True,
):
    """Paste a box of another image into each image, and mix the targets by the areas.

    With probability p a batch gets one box, for all its images, and one permutation for partners,
    as in the authors' code. The box has the share 1 - l of the area before it is cut at the
    border, l ~ Beta(alpha, alpha), and its centre is uniform over the pixels. The target is
    s * y + (1 - s) * y of the partner, with s the share of pixels that stay: counted after
    cutting and rounding, not l itself. Training accuracy has no hard label to compare with. Beside
    `mixup` or `manifold_mixup` each batch is the turn of one of them, drawn with equal chances; p
    is of its own turns.

    Helps: classification of images with several cues; where a single centred object is the whole
    picture (galaxies, digits), the box shows half objects whose share of area says little.

    Costs: one permuted copy of the images, next to nothing.

    Args:
        alpha: of the Beta distribution, > 0; 1 draws l uniformly.
        p: probability that a batch is mixed, in [0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        S. Yun et al., CutMix: regularization strategy to train strong classifiers with localizable
        features, ICCV 2019, eq. 1 and 2. https://arxiv.org/abs/1905.04899
    """

    alpha: Annotated[float, Range(0, open_low=True)]
    p: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        images, rng = batch.inputs, step.rng
        height, width = images.shape[-2:]
        pasted = rng.uniform(()) < self.p
        side = (1 - rng.beta(self.alpha, self.alpha, ()).double()).sqrt()
        tall = _about(height, rng.integers(height, ()), side)
        wide = _about(width, rng.integers(width, ()), side)
        box = pasted & tall[:, None] & wide
        partner = rng.permutation(len(images))
        share = 1 - box.to(batch.targets.dtype).mean()
        mixture = mixed_targets(batch, share, partner)
        pasted_in = torch.where(box, images[partner], images)
        targets = torch.where(share < 1, mixture.targets, batch.targets)
        return mixture._replace(inputs=pasted_in, targets=targets)


def _about(pixels: int, centre: Tensor, share: Tensor) -> Tensor:
    """Which of 0..pixels-1 an interval about `centre` covers, `share` of them if none is cut."""
    length = (share * pixels).long()
    return covered(pixels, centre - length // 2, length)
