"""RegMixup: mixed rows beside the clean ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from regexp.regularizer.base import PenaltyView, Range, Regularizer, Step
from regexp.regularizer.common import mixed, pairs


@dataclass(frozen=True)
class RegMixup(
    Regularizer,
    kind="penalty",
    neutral={"eta": 0.0},
    refuses=("hidden rows that are mixed",),  # once more, in its own pass, by other targets
):
    """Add eta * the loss of mixed rows to that of the clean ones.

    Rows are mixed as in `mixup`, l * x + (1 - l) * x' with one l ~ Beta(alpha, alpha) and one
    permutation a batch, but with so large an alpha that l is near 1/2. Their loss is
    l * L(y) + (1 - l) * L(y'), as in the authors' code, so that it needs no soft targets and goes
    with any loss; of cross-entropy it is that of the mixed targets, and of squared error but for a
    constant. Beside a technique that puts another loss in the place of cross-entropy, that of mixed
    rows stays cross-entropy. The authors pass clean and mixed rows through the network together and
    take the mean over both: with eta = 1 their loss is half of ours. Here mixed rows pass by
    themselves, with new noise in every stochastic layer; batch normalization takes the statistics
    of their own batch, and its running statistics are those of the clean rows.

    Helps: accuracy, calibration and shifted test rows, where `mixup` alone makes a network too
    unsure of clean rows; not where a mean of two rows is no sensible row (categories, positions in
    a series).

    Costs: about twice the time of a step (one more forward and backward pass).

    Args:
        alpha: of the Beta distribution, > 0; the authors have 20 for CIFAR-10 and 10 for CIFAR-100.
        eta: weight of the mixed rows' loss, >= 0; the paper's is 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        F. Pinto et al., RegMixup: mixup as a regularizer can surprisingly improve accuracy and out
        distribution robustness, NeurIPS 2022, eq. 3. https://arxiv.org/abs/2206.14502
    """

    alpha: Annotated[float, Range(0, open_low=True)]
    eta: Annotated[float, Range(0)]

    def penalty(self, step: Step, view: PenaltyView) -> Tensor:
        batch = view.batch
        share, partner = pairs(step.rng, self.alpha, len(batch.inputs))
        other = batch.of_tensors(lambda rows: rows[partner])
        inputs = mixed(batch.inputs, share, other.inputs)
        outputs = view.network(inputs, rng=step.rng.fold("mixed rows"))
        own, others = (part.mean(view.loss(outputs, part.targets)) for part in (batch, other))
        return self.eta * mixed(own, share, others)
