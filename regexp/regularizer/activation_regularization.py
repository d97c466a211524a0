"""Activation regularization and temporal activation regularization (AR, TAR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from regexp.regularizer.base import NotApplicable, PenaltyView, Range, Regularizer, Step, blocks


@dataclass(frozen=True)
class ActivationRegularization(
    Regularizer,
    kind="penalty",
    neutral={"alpha": 0.0, "beta": 0.0},
    data=("series",),
    uses_hidden=True,
):
    """Keep a recurrent layer's outputs small and slow (AR and TAR).

    loss + alpha * mean h_t^2 + beta * mean (h_t - h_(t-1))^2

    h are the outputs [rows, time, features] of the last recurrent block, as in the paper; means
    are over rows, times and features, as in the authors' code (the paper writes norms). The
    authors take the outputs before dropout for the second term; here both see those after it,
    as the next layer reads them: with a mask for each time, the second term has its noise in it.

    Helps: LSTM and GRU on series that change slowly, beside dropout; not where states must jump.

    Costs: two passes over the hidden activations a step, little beside the recurrence.

    Args:
        alpha: of the size (AR), per unit of the mean loss of a batch, >= 0.
        beta: of the change from time to time (TAR), per unit of the mean loss of a batch, >= 0.

    Raises:
        ValueError: for a negative number.
        NotApplicable: for a model without a recurrent hidden block.

    Reference:
        S. Merity, N. Keskar, R. Socher, Regularizing and optimizing LSTM language models, ICLR
        2018, section 4.6. https://arxiv.org/abs/1708.02182
    """

    alpha: Annotated[float, Range(0)]
    beta: Annotated[float, Range(0)]

    def build(self, model: nn.Module) -> nn.Module:
        if not any(block.dimensions == 1 for block in blocks(model).values()):
            raise NotApplicable(
                f"{type(model).__name__} has no recurrent hidden block",
                key="regularizer.activation_regularization",
                cure="use model=lstm or model=gru, or regularizer=activity_l2",
            )
        return model

    def penalty(self, step: Step, view: PenaltyView) -> Tensor | float:
        last = [h for h in view.hidden.values() if h.ndim == 3][-1].to(view.outputs.dtype)
        term = self.alpha * last.square().mean()
        if last.shape[1] > 1:  # one time has nothing before it
            term = term + self.beta * (last[:, 1:] - last[:, :-1]).square().mean()
        return term
