"""Label smoothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import Batch, Range, Regularizer, Step


@dataclass(frozen=True)
class LabelSmoothing(
    Regularizer,
    kind="label",
    neutral={"smoothing": 0.0},
    tasks=("classification",),
    provides=("soft targets",),
):
    """Mix the labels with the uniform distribution: (1 - e) * y + e / K over all K classes.

    torch's convention: the true class has 1 - e + e/K (other codes share e among the K - 1 others).
    It acts on training batches alone, so the validation loss stays the plain one.

    Helps: the calibration of networks that fit their training rows, and accuracy a little; such a
    network is a worse teacher (Mueller et al. 2019), and its own loss rises where it was unsure.

    Costs: nothing to speak of.

    Args:
        smoothing: e, in [0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        C. Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016,
        section 7. https://arxiv.org/abs/1512.00567
    """

    smoothing: Annotated[float, Range(0, 1)]

    def batch(self, step: Step, batch: Batch) -> Batch:
        classes = batch.targets.shape[-1]
        targets = (1 - self.smoothing) * batch.targets + self.smoothing / classes
        return batch._replace(targets=targets)
