"""Focal loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class FocalLoss(
    Regularizer,
    kind="label",
    neutral={"gamma": 0.0},
    tasks=("classification",),
    provides=("a loss in place of cross-entropy",),
    refuses=("soft targets", "another loss", "a loss in place of cross-entropy"),
):
    """Weigh each row's loss by how far its true class is from certain: (1 - p)^gamma * -log p.

    It stands as a penalty, mean(((1 - p)^gamma - 1) * -log p), which gives the focal loss when it
    is added to the cross-entropy; the loss that is reported stays the cross-entropy. p is the
    predicted probability of the true class, so targets must be hard. The class weights alpha of
    the paper are those of `trainer.class_weight`, beside which gamma may be lower.

    Helps: where easy rows outnumber hard ones, and against over-confidence (sure rows pull no
    further); with noisy labels it dwells on just the wrong ones.

    Costs: nothing to speak of.

    Args:
        gamma: exponent, >= 0; 0 is the cross-entropy, 2 the paper's choice.

    Raises:
        ValueError: for a negative exponent.

    Reference:
        T.-Y. Lin et al., Focal loss for dense object detection, ICCV 2017, eq. 4.
        https://arxiv.org/abs/1708.02002
    """

    gamma: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        loss = view.loss(view.outputs, view.batch.targets)
        # At 1 - p = 0 the slope of a power below 1 is infinite: there the weight is held.
        doubt = torch.clamp(-torch.expm1(-loss), min=torch.finfo(loss.dtype).tiny)
        return view.batch.mean((doubt**self.gamma - 1) * loss)
