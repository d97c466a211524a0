"""PolyLoss with one coefficient changed (Poly-1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class PolyLoss(
    Regularizer,
    kind="label",
    neutral={"epsilon": 0.0},
    tasks=("classification",),
    refuses=("another loss",),
):
    """Add epsilon * mean(1 - p) to the cross-entropy, p being the probability of the true class.

    The cross-entropy is the series sum_j (1 - p)^j / j, whose first coefficient becomes
    1 + epsilon: the paper's Poly-1, which did as well as changes of more terms. The loss that is
    reported stays the cross-entropy. Of soft targets p is their mean probability sum_k y_k p_k, as
    in the authors' code. Beside `focal_loss` the term is the same, where the paper's Poly-1 of that
    loss has (1 - p)^(gamma + 1).

    Helps: a little, once epsilon is tuned: above 0 where training is not sure enough of its rows
    (the paper's classes of ImageNet), below 0 where it is too sure (its rare objects). Above 0 it
    also counts wrong labels less, as the part that it adds is bounded.

    Costs: nothing to speak of.

    Args:
        epsilon: change of the first coefficient, >= -1; 0 is the cross-entropy, -1 leaves the term
            out.

    Raises:
        ValueError: for a number below -1.

    Reference:
        Z. Leng et al., PolyLoss: a polynomial expansion perspective of classification loss
        functions, ICLR 2022, eq. 4 (Poly-1). https://arxiv.org/abs/2204.12511
    """

    epsilon: Annotated[float, Range(-1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        doubts = -view.outputs.log_softmax(-1).expm1()  # 1 - p, also where p is nearly 1
        return self.epsilon * view.batch.mean((view.batch.targets * doubts).sum(-1))
