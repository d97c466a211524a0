"""Input gradient penalty (double backpropagation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class InputGradient(Regularizer, kind="penalty", neutral={"strength": 0.0}):
    """Add the loss's slope by the inputs: loss + strength * mean_rows norm2(dloss_row/dx_row)^2.

    loss_row is the plain loss of one row, not divided by the rows of the batch; x its inputs after
    every `batch` hook. The slopes are those of the network in training mode, with its noise. Batch
    normalization ties rows together: the slope is then that of the sum of all rows' losses.

    Helps: small changes of the inputs change the loss less, which gives robustness and smoother
        explanations; rows that are fitted well have no slope left and are not touched.

    Costs: one more forward pass and a double backward pass: about three times the time of a plain
        step.

    Args:
        strength: per unit of the mean loss of a batch, >= 0, in inverse units of the squared
            slopes: its right size depends on the scale of the inputs.

    Raises:
        ValueError: for a negative strength.

    Reference:
        H. Drucker, Y. LeCun, Improving generalization performance using double backpropagation,
        IEEE Trans. Neural Networks 3 (1992). https://doi.org/10.1109/72.165600
        A. Ross, F. Doshi-Velez, Improving the adversarial robustness and interpretability of deep
        neural networks by regularizing their input gradients, AAAI 2018.
        https://arxiv.org/abs/1711.09404
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        inputs, targets = view.batch.inputs, view.batch.targets

        def loss(x: Tensor) -> Tensor:
            return view.loss(view.network(x), targets).sum()

        slopes = torch.func.grad(loss)(inputs)
        return self.strength * view.batch.mean(slopes.flatten(1).square().sum(1))
