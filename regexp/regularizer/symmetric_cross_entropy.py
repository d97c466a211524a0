"""Symmetric cross-entropy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class SymmetricCrossEntropy(
    Regularizer,
    kind="label",
    neutral={"alpha": 1.0, "beta": 0.0},
    tasks=("classification",),
    provides=("a loss in place of cross-entropy",),
    refuses=("another loss", "a loss in place of cross-entropy"),
):
    """Train on alpha * H(y, p) + beta * H(p, y): the cross-entropy and the reverse of it.

    y is the label and p the prediction; in H(p, y) = -sum_k p_k log y_k each -log y_k is at most
    `cap`, so that log 0 is -cap. Of a hard label that is cap * (1 - p of its class), which is
    bounded and adds up to the same over all labels, whatever the prediction; with alpha = 1 it is
    `poly_loss` with epsilon = beta * cap. Soft targets are taken as they are. It stands as a
    penalty, (alpha - 1) * H(y, p) + beta * H(p, y), so the loss that is reported stays H(y, p).

    Helps: where labels are wrong, with a small alpha; hard classes that the cross-entropy alone
    learns late.

    Costs: nothing to speak of.

    Args:
        alpha: weight of the cross-entropy, >= 0; 1 is the plain one, the paper has 0.1 for
            CIFAR-10 and 6 for CIFAR-100.
        beta: weight of the reverse, >= 0; the paper has 1 and 0.1.
        cap: -A of the paper, in nats, > 0; the authors' code clips labels at 1e-4, which is 9.21.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        Y. Wang et al., Symmetric cross entropy for robust learning with noisy labels, ICCV 2019,
        eq. 6 and 7. https://arxiv.org/abs/1908.06112
    """

    alpha: Annotated[float, Range(0)]
    beta: Annotated[float, Range(0)]
    cap: Annotated[float, Range(0, open_low=True)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        targets = view.batch.targets
        cap = torch.as_tensor(self.cap, dtype=targets.dtype, device=targets.device)
        reverse = (view.outputs.softmax(-1) * torch.minimum(-targets.log(), cap)).sum(-1)
        change = (self.alpha - 1) * view.loss(view.outputs, targets) + self.beta * reverse
        return view.batch.mean(change)
