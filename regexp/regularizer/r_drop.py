"""R-Drop: agreement of two dropout passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from regexp.regularizer.base import (
    DropoutLayer,
    PenaltyView,
    Range,
    Regularizer,
    Step,
    blocks,
)


@dataclass(frozen=True)
class RDrop(
    Regularizer,
    kind="penalty",
    neutral={"strength": 0.0, "dropout": 0.0},
    tasks=("classification",),
):
    """Add strength * mean (KL(P1 || P2) + KL(P2 || P1)) / 2 of two passes with different dropout.

    P1 is the pass of the step, P2 another one on the same rows with new noise in every stochastic
    layer; gradients pass through both. It brings dropout of its own, or uses what other techniques
    add (`dropout: null`); without any, both passes are equal and the term is zero. The paper takes
    the plain loss of both passes; here it stays that of the first, so that strength 0 changes
    nothing.

    Helps: where dropout does: it pulls the sub-networks together, so that the whole network, which
    is evaluated, is nearer to those that were trained. Fits more slowly.

    Costs: about twice the time of a step (one more forward and backward pass).

    Args:
        strength: weight of the divergence (nats) beside the mean loss, >= 0; alpha of the authors'
            code, which takes the mean of both passes' losses; half the paper's, which adds them up.
        dropout: share of every hidden block's outputs that is dropped, in [0, 1); null for no
            layers of its own.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without slots for the layers, unless `dropout` is null.

    Reference:
        X. Liang, L. Wu et al., R-Drop: regularized dropout for neural networks, NeurIPS 2021,
        section 2.1. https://arxiv.org/abs/2106.14448
    """

    strength: Annotated[float, Range(0)]
    dropout: Annotated[float | None, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        if self.dropout is not None:
            for block in blocks(model).values():
                block.dropout.append(DropoutLayer(self.dropout))
        return model

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        first = view.outputs.log_softmax(-1)
        second = view.network(view.batch.inputs, rng=step.rng).log_softmax(-1)
        # KL(p || q) + KL(q || p) = sum (p - q) (log p - log q)
        divergence = ((first.exp() - second.exp()) * (first - second)).sum(-1)
        return self.strength * divergence.mean() / 2
