"""Spectral norm penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step, total, weights


@dataclass(frozen=True)
class SpectralPenalty(
    Regularizer,
    kind="penalty",
    neutral={"strength": 0.0},
    refuses=("weights whose length has no effect",),
):
    """Add the squared largest singular values: loss + strength * sum sigma_max(W)^2.

    W is [units, inputs]; a convolution's is [filters, channels * height * width], whose singular
    values are not those of the convolution as a map of images. The paper's number is twice ours
    (its term has 1/2), and it finds sigma by one step of a power iteration; here it is exact.

    Helps: against sensitivity to small changes of the inputs, since the product of the layers'
        sigma_max bounds the network's Lipschitz constant; shrinks fewer directions than `l2`.

    Costs: a singular value decomposition of each weight matrix a step, which is the dearest of
        the penalties on weights: several times the time of a plain step.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative strength.

    Reference:
        Y. Yoshida, T. Miyato, Spectral norm regularization for improving the generalizability of
        deep learning, 2017, section 3. https://arxiv.org/abs/1705.10941
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        selected = weights(view.parameters, step.kinds).items()
        largest = [
            _largest_singular_value(step.layout(name).units_first(w)) for name, w in selected
        ]
        return self.strength * total([sigma.square() for sigma in largest])


def _largest_singular_value(w: Tensor) -> Tensor:
    # The decomposition raises for what is not finite, and would end the whole stack for one run
    # that diverged; that run's loss is not finite either, so it fails by itself.
    finite = torch.nan_to_num(w.flatten(1), nan=0.0, posinf=0.0, neginf=0.0)
    return torch.linalg.svdvals(finite)[0]
