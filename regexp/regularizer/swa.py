"""Stochastic weight averaging."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import (
    Course,
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
    weights,
)
from regexp.regularizer.common import advise_tail, average_tail, copied, select


@dataclass(frozen=True)
class SWA(
    Regularizer,
    kind="averaging",
    neutral={"start": 1.0},
    provides=("averaged weights",),
    refuses=("averaged weights", "an early end"),
    averages=True,
    follows=True,
):
    """Evaluate the mean of the weights at the ends of the epochs in the tail of training.

    The tail begins after the share `start` of the steps; until its first epoch ends, the weights
    themselves are evaluated. Training goes on at the weights, not at their mean. Buffers are those
    of training, but for running statistics of batch normalization, which belong to other weights
    than the mean: they are re-estimated before it is evaluated. Beside lookahead it is the mean of
    the slow weights; snapshots beside it are of the mean.

    The averaging is all that is here. The other half of the method, a constant or cyclic and rather
    high learning rate in the tail, is the scheduler's: scheduler=swa_lr. Under a rate that falls to
    zero the weights hardly move in the tail, and their mean is nearly the last of them.

    A uniform soup (Wortsman et al. 2022, https://arxiv.org/abs/2203.05482) of the checkpoints of
    one run is this mean; the soups of that paper are of several runs, fine-tuned with other numbers
    from one trained start, which no technique of a single run can give. `lawa` averages the latest
    epochs throughout a run.

    Helps:
        Where the learning rate stays high enough for the weights to wander: small gains in accuracy
        and better calibration, for next to no time. Not in runs of a few epochs.

    Costs:
        One more copy of the weights, and a pass through the training rows at each evaluation where
        batch normalization needs it.

    Args:
        start: share of the steps before the tail, in [0, 1]; 1 averages nothing.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        P. Izmailov et al., Averaging weights leads to wider optima and better generalization,
        UAI 2018, algorithm 1 with a cycle of one epoch. https://arxiv.org/abs/1803.05407
    """

    start: Annotated[float, Range(0, 1)]

    def advise(self, course: Course) -> Iterator[str]:
        yield from advise_tail(course, self.start)

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some = next(iter(state.values()))
        return {
            "mean": copied(weights(state, kinds, "all")),
            "count": some.new_zeros((), dtype=torch.float64),
        }

    def track(self, step: Step, state: Tensors) -> Memory:
        if not step.ends_epoch:
            return step.memory
        return average_tail(step, self.start, state)

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return select(memory["count"] > 0, state | memory["mean"], state)
