"""Virtual adversarial training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class VAT(Regularizer, kind="adversarial", neutral={"strength": 0.0}, tasks=("classification",)):
    """Add strength * mean KL(p(x) || p(x + r)), r being the row's worst change of norm epsilon.

    For small r the divergence is r'Hr / 2, so the worst r lies along the first eigenvector of H =
    J'(diag(p) - pp')J, J the Jacobian of the logits. It is approached by power iteration from a
    random direction; the product with H is exact here, where the paper takes a difference over a
    small xi, which rounding drowns in float32. p(x) is a constant, labels are not used, and all
    passes see the same noise of the layers; running statistics are those of the clean rows.

    Helps: with few rows, and where the prediction should be flat around them; too large an epsilon
    blurs the classes. The paper's gain is largest on rows without labels, which are not used here.

    Costs: about 4 + iterations times the time of a step.

    Args:
        strength: weight of the divergence (nats) beside the mean loss, >= 0.
        epsilon: norm of a row's change, over all its features together, in units of the
            preprocessed inputs, >= 0.
        iterations: of the power method, >= 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        T. Miyato et al., Virtual adversarial training: a regularization method for supervised and
        semi-supervised learning, TPAMI 41 (2019), section 3 and algorithm 1.
        https://arxiv.org/abs/1704.03976
    """

    strength: Annotated[float, Range(0)]
    epsilon: Annotated[float, Range(0)]
    iterations: Annotated[int, Range(1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        x = view.batch.inputs
        constants = {name: value.detach() for name, value in view.parameters.items()}
        before = view.outputs.detach().log_softmax(-1)

        def divergence(at: Tensor) -> Tensor:
            after = view.network(at, constants).log_softmax(-1)
            return (before.exp() * (before - after)).sum()

        # of a symmetric matrix, vector times matrix is matrix times vector
        product = torch.func.vjp(torch.func.grad(divergence), x)[1]
        direction = _unit(step.rng.normal(x.shape).to(x.dtype))
        for _ in range(self.iterations):
            direction = _unit(product(direction)[0])
        after = view.network(x + self.epsilon * direction).log_softmax(-1)
        return self.strength * (before.exp() * (before - after)).sum(-1).mean()


def _unit(direction: Tensor) -> Tensor:
    """Each row scaled to norm 1; zero where it is zero."""
    flat, tiny = direction.flatten(1), torch.finfo(direction.dtype).tiny
    flat = F.normalize(flat, p=math.inf, eps=tiny)  # squares of small numbers would vanish
    return F.normalize(flat, eps=tiny).view(direction.shape)
