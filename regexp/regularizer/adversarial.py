"""Adversarial training: one step of the sign of the gradient, or several with projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class FGSM(
    Regularizer,
    kind="adversarial",
    neutral={"epsilon": 0.0},
    # L is the plain loss: beside another one its part would be taken from what is not there
    refuses=("a loss in place of cross-entropy", "targets of its own"),
):
    """Train on worse inputs too: (1 - share) * L(x) + share * L(x + epsilon * sign(dL/dx)).

    It stands as a penalty, share * (L(x_adv) - L(x)), so the loss that is reported stays L(x). Both
    passes see the same noise of the layers; the second leaves running statistics alone, and batch
    normalization takes the statistics of its own, adversarial batch. For a linear model L is that
    of a margin smaller by epsilon * norm1(w). Numbers are standardized, so nothing is clamped to
    [0, 1], and one epsilon means the same to each of them; columns of zeros and ones (one-hot code)
    are moved as numbers are, to values that never occur.

    Helps: against small changes that are made on purpose, and smooths the loss between rows; on
    clean rows it often costs accuracy, and large steps are learnt by heart (use `pgd`).

    Costs: about three times the time of a step (two more forward and backward passes).

    Args:
        epsilon: largest change of a feature, in units of the preprocessed inputs, >= 0.
        share: weight of the adversarial loss, in [0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        I. Goodfellow, J. Shlens, C. Szegedy, Explaining and harnessing adversarial examples, ICLR
        2015, section 6 with alpha = 1 - share. https://arxiv.org/abs/1412.6572
    """

    epsilon: Annotated[float, Range(0)]
    share: Annotated[float, Range(0, 1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        x = view.batch.inputs
        return _excess(view, x + self.epsilon * _slope(view, x).sign(), self.epsilon, self.share)


@dataclass(frozen=True)
class PGD(
    Regularizer,
    kind="adversarial",
    neutral={"epsilon": 0.0},
    refuses=("a loss in place of cross-entropy", "targets of its own"),  # as fgsm
):
    """Train on the worst inputs nearby: (1 - share) * L(x) + share * L(x + d), |d| <= epsilon.

    d starts uniformly within the cube of half-width epsilon and takes `steps` steps of
    d <- clamp(d + step_size * epsilon * sign(dL/dx), -epsilon, epsilon). In all else as `fgsm`,
    which is one such step from d = 0: the plain loss stays L(x), the noise of the layers is the
    same in all passes, running statistics are those of the clean rows.

    Helps: against small changes that are made on purpose, stronger ones than `fgsm` withstands;
    the price in accuracy on clean rows is higher too, and falls with more rows.

    Costs: about steps + 2 times the time of a step.

    Args:
        epsilon: largest change of a feature, in units of the preprocessed inputs, >= 0.
        step_size: of one step, in units of epsilon, > 0.
        steps: how many, >= 1.
        share: weight of the adversarial loss, in [0, 1]; the paper trains on it alone.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        A. Madry et al., Towards deep learning models resistant to adversarial attacks, ICLR 2018,
        section 2.1 and eq. 2.1. https://arxiv.org/abs/1706.06083
    """

    epsilon: Annotated[float, Range(0)]
    step_size: Annotated[float, Range(0, open_low=True)]
    steps: Annotated[int, Range(1)]
    share: Annotated[float, Range(0, 1)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        x = view.batch.inputs
        delta = 2 * step.rng.uniform(x.shape).to(x.dtype) - 1  # in units of epsilon
        for _ in range(self.steps):
            slope = _slope(view, x + self.epsilon * delta)
            delta = (delta + self.step_size * slope.sign()).clamp(-1, 1)
        return _excess(view, x + self.epsilon * delta, self.epsilon, self.share)


def _slope(view: PenaltyView, x: Tensor) -> Tensor:
    """The gradient of the batch's loss with respect to its inputs, at `x`; a constant."""
    constants = {name: value.detach() for name, value in view.parameters.items()}

    def loss(at: Tensor) -> Tensor:
        return view.loss(view.network(at, constants), view.batch.targets).sum()

    return torch.func.grad(loss)(x)


def _excess(view: PenaltyView, x: Tensor, epsilon: float, share: float) -> Tensor:
    """share * (L(x) - L at the batch): exactly 0 with zero gradients if epsilon is 0."""
    worse = view.loss(view.network(x), view.batch.targets)
    plain = view.loss(view.outputs, view.batch.targets)
    return share * (epsilon > 0) * view.batch.mean(worse - plain)
