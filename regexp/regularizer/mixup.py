"""Mixup of pairs of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Batch, Range, Regularizer, Step
from regexp.regularizer.common import mixed, mixed_targets, pairs


@dataclass(frozen=True)
class Mixup(
    Regularizer,
    kind="input",
    neutral={"alpha": 0.0},
    provides=("soft targets",),
    mixes=True,
):
    """Train on mixed rows: l * (x, y) + (1 - l) * (x, y) of another row, l ~ Beta(alpha, alpha).

    l is drawn once a batch and the partners are one permutation of it, as in the authors' code
    (the paper's eq. 1 draws l a pair). Targets are mixed as probabilities; training accuracy on
    mixed rows has no hard label to compare with and means little. Beside `cutmix` or
    `manifold_mixup` each batch is the turn of one of them, drawn with equal chances.

    Helps: with noisy labels, few rows and networks that are too sure of themselves; not where a
    mean of two rows is no sensible row (categories, positions in a series).

    Costs: nothing to speak of; fitting mixed rows takes more epochs.

    Args:
        alpha: of the Beta distribution, >= 0; 0 mixes nothing, 1 mixes uniformly.

    Raises:
        ValueError: for a negative number.

    Reference:
        H. Zhang et al., mixup: beyond empirical risk minimization, ICLR 2018, section 2.
        https://arxiv.org/abs/1710.09412
    """

    alpha: Annotated[float, Range(0)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        share, partner = pairs(step.rng, self.alpha, len(batch.inputs))
        inputs = mixed(batch.inputs, share, batch.inputs[partner])
        return mixed_targets(batch, share, partner)._replace(inputs=inputs)
