"""Bootstrapping of labels by the network's own predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import Choice, PenaltyView, Range, Regularizer, Step


@dataclass(frozen=True)
class Bootstrapping(
    Regularizer,
    kind="label",
    neutral={"beta": 1.0},
    tasks=("classification",),
    provides=("a loss in place of cross-entropy",),
    refuses=("another loss", "a loss in place of cross-entropy"),
):
    """Train towards beta * y + (1 - beta) * the prediction, in place of the label y alone.

    The cross-entropy is linear in its target, so the change is a penalty, (1 - beta) * mean(
    H(target, q) - H(y, q)), and the plain loss that is reported stays that against y. The target is
    the prediction q itself (`soft`), or all of its likeliest class (`hard`). In soft mode the
    gradient passes through both q of -sum q log q, as in the paper, whose rule is a minimum of
    entropy: with the target held constant that term has no gradient at all, and the mode would only
    scale the loss by beta.

    Helps: where labels are wrong; with clean labels it makes a confident network more so.

    Costs: nothing to speak of.

    Args:
        beta: weight of the label, in [0, 1]; the paper's are 0.95 (soft) and 0.8 (hard).
        mode: `soft` or `hard`.

    Raises:
        ValueError: for a weight out of its range or another mode.

    Reference:
        S. Reed et al., Training deep neural networks on noisy labels with bootstrapping, ICLR 2015
        workshop, section 3.2. https://arxiv.org/abs/1412.6596
    """

    beta: Annotated[float, Range(0, 1)]
    mode: Annotated[str, Choice("soft", "hard")]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        logarithms = view.outputs.log_softmax(-1)
        if self.mode == "soft":
            self_loss = -(logarithms.exp() * logarithms).sum(-1)
        else:
            self_loss = -logarithms.max(-1).values
        change = self_loss - view.loss(view.outputs, view.batch.targets)
        return (1 - self.beta) * view.batch.mean(change)
