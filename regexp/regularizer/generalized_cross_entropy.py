"""Generalized cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class GeneralizedCrossEntropy(
    Regularizer,
    kind="label",
    neutral={"q": 0.0},
    tasks=("classification",),
    provides=("a loss in place of cross-entropy",),
    refuses=("another loss", "a loss in place of cross-entropy"),
):
    """Train on (1 - p^q) / q in place of -log p, p being the probability of the true class.

    It is the cross-entropy as q goes to 0 and 1 - p, half the absolute error, at q = 1. Its slope
    is p^q times that of the cross-entropy: rows that the network holds for wrong pull less. It
    stands as a penalty, the mean of the difference, so the loss that is reported stays the
    cross-entropy. Of soft targets it is the mean of the classes' losses, sum_k y_k (1 - p_k^q) / q,
    so that mixed rows have the mixture of their losses. The paper's truncated loss, which leaves
    rows out, is not made.

    Helps: where labels are wrong; with clean labels hard rows are learnt late or, near q = 1 and
    with many classes, not at all.

    Costs: nothing to speak of.

    Args:
        q: exponent, in [0, 1]; 0 is the cross-entropy, 0.7 the paper's choice.

    Raises:
        ValueError: for an exponent out of its range.

    Reference:
        Z. Zhang, M. Sabuncu, Generalized cross entropy loss for training deep neural networks with
        noisy labels, NeurIPS 2018, eq. 6. https://arxiv.org/abs/1805.07836
    """

    q: Annotated[float, Range(0, 1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        logarithms = view.outputs.log_softmax(-1)
        q = torch.as_tensor(self.q, dtype=logarithms.dtype, device=logarithms.device)
        divisor = torch.where(q > 0, q, 1)  # so that what is not taken at 0 has a slope
        change = torch.where(q > 0, logarithms - torch.expm1(q * logarithms) / divisor, 0)
        return view.batch.mean((view.batch.targets * change).sum(-1))
