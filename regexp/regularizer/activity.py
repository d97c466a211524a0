"""Penalties on hidden activations: L1 (sparse) and L2 (small)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step, total


@dataclass(frozen=True)
class ActivityL1(Regularizer, kind="penalty", neutral={"strength": 0.0}, uses_hidden=True):
    """Add absolute hidden activations: loss + strength * mean_rows sum |h|.

    h are the outputs of the hidden blocks, as the next layer reads them (after activation and
    dropout). The sum is over the units of all blocks: channels with their pixels, features at all
    times. The mean is over the rows alone, as in Keras: the number does not depend on the batch
    size, but the penalty grows with the width of the network.

    Helps: representations in which few units speak at a time, most of all in overcomplete layers;
        as a means against overfitting alone, weaker than `l2` or `dropout`.

    Costs: one pass over the hidden activations a step, little.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative strength.
        NotApplicable: for a model without hidden blocks.

    Reference:
        X. Glorot, A. Bordes, Y. Bengio, Deep sparse rectifier neural networks, AISTATS 2011,
        section 3. https://proceedings.mlr.press/v15/glorot11a.html
        The number is that of Keras's `activity_regularizer=L1(strength)` on every hidden layer.
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return self.strength * _row_mean(view, torch.abs)


@dataclass(frozen=True)
class ActivityL2(Regularizer, kind="penalty", neutral={"strength": 0.0}, uses_hidden=True):
    """Add squared hidden activations: loss + strength * mean_rows sum h^2.

    h are the outputs of the hidden blocks, as the next layer reads them (after activation and
    dropout). The sum is over the units of all blocks: channels with their pixels, features at all
    times. The mean is over the rows alone, as in Keras: the number does not depend on the batch
    size, but the penalty grows with the width of the network.

    Helps: against activations that grow without bound, in recurrent and other deep networks
        without normalization; where `batch_norm` fixes their size it works against the scale.

    Costs: one pass over the hidden activations a step, little.

    Args:
        strength: per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative strength.
        NotApplicable: for a model without hidden blocks.

    Reference:
        S. Merity, B. McCann, R. Socher, Revisiting activation regularization for language RNNs,
        2017. https://arxiv.org/abs/1708.01009
        The number is that of Keras's `activity_regularizer=L2(strength)` on every hidden layer.
    """

    strength: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        return self.strength * _row_mean(view, torch.square)


def _row_mean(view: PenaltyView, size: Callable[[Tensor], Tensor]) -> Tensor | float:
    """The mean over rows of the sum of `size` over all hidden units."""
    dtype = view.outputs.dtype  # under autocast activations are short
    return total([size(h.to(dtype)).sum() / len(h) for h in view.hidden.values()])
