"""AugMix: predictions that agree on mixtures of augmented images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Rng, Step
from regexp.regularizer.image_operations import OPERATIONS, transform

DRAWN = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y", "solarize", "posterize")
VIEWS = 2


@dataclass(frozen=True)
class AugMix(
    Regularizer,
    kind="input",
    neutral={"strength": 0.0},
    tasks=("classification",),
    data=("images",),
):
    """Add strength * mean JS(p(x), p(x'), p(x'')), x' and x'' being two mixtures of x.

    A mixture is (1 - m) x + m (w_1 c_1(x) + ... + w_k c_k(x)) of k = `width` chains, with m
    uniform on [0, 1) and the weights w ~ Dirichlet(1, ..., 1). A chain has 1 to `depth` operations
    one after another, each drawn out of rotate, shear, translate, solarize and posterize, of a
    magnitude uniform on [0.1, severity). They are those of `rand_augment`, with its ranges;
    autocontrast and equalize are left out, as there, and what corruptions are made of
    (brightness, contrast, ...), as in the paper. JS is the mean divergence KL(p || M) of the three
    predictions from their mean M, in nats; gradients pass through all three. The plain loss is that
    of x. All are drawn for each row. The three passes see the same noise of the layers, and running
    statistics are those of x, where the authors' code makes one batch of the three.

    Helps: predictions under shifts and corruptions that training has not seen, and their
    calibration, more than accuracy on clean images.

    Costs: two more forward and backward passes, and 2 * width * depth times all the operations an
    image: several times a step of a small convolutional network.

    Args:
        strength: weight of the divergence (nats) beside the mean loss, >= 0.
        severity: the largest magnitude, in [0.1, 10], in the units of `rand_augment`.
        width: chains a mixture, >= 1.
        depth: the most operations of a chain, >= 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        D. Hendrycks et al., AugMix: a simple data processing method to improve robustness and
        uncertainty, ICLR 2020, section 3 and algorithm 1. https://arxiv.org/abs/1912.02781
    """

    strength: Annotated[float, Range(0)]
    severity: Annotated[float, Range(0.1, 10)]
    width: Annotated[int, Range(1)]
    depth: Annotated[int, Range(1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        mixtures = self.mixtures(view.batch.inputs, step.rng)
        outputs = [view.outputs, *(view.network(images) for images in mixtures)]
        logs = torch.stack([each.log_softmax(-1) for each in outputs])
        mean = logs.logsumexp(0) - math.log(len(outputs))
        divergence = (logs.exp() * (logs - mean)).sum(-1).mean(0)
        return self.strength * divergence.mean()

    def mixtures(self, images: Tensor, rng: Rng) -> Tensor:
        """Mixtures of `images` [rows, channels, height, width], [2, rows, ...]."""
        shape = (VIEWS, self.width, len(images))
        weights = dirichlet(rng, shape).to(images)[..., None, None, None]
        share = rng.uniform((VIEWS, len(images))).to(images)[..., None, None, None]
        chains = self._chains(images.expand(*shape[:2], *images.shape).flatten(0, 2), rng)
        mixed = (weights * chains.unflatten(0, shape)).sum(1)
        return (1 - share) * images + share * mixed

    def _chains(self, images: Tensor, rng: Rng) -> Tensor:
        """Each image after a chain of operations of its own."""
        rows = (len(images),)
        length = 1 + rng.integers(self.depth, rows)
        drawn = torch.tensor([OPERATIONS.index(name) for name in DRAWN], device=images.device)
        for done in range(self.depth):
            operation = drawn[rng.integers(len(DRAWN), rows)]
            sign = 2 * rng.integers(2, rows) - 1
            magnitude = (0.1 + (self.severity - 0.1) * rng.uniform(rows).to(images)) / 10
            changed = transform(images, operation, sign, magnitude, DRAWN)
            images = torch.where((done < length)[:, None, None, None], changed, images)
        return images


def dirichlet(rng: Rng, shape: tuple[int, int, int]) -> Tensor:
    """Weights that sum to 1 along the second axis, uniform on the simplex, float32 of `shape`."""
    exponential = -torch.log1p(-rng.uniform(shape))
    exponential = exponential.clamp(min=torch.finfo(exponential.dtype).tiny)
    return exponential / exponential.sum(1, keepdim=True)
