"""Latest weight averaging."""

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
from regexp.regularizer.common import select


@dataclass(frozen=True)
class LAWA(
    Regularizer,
    kind="averaging",
    neutral={"k": 1},
    provides=("averaged weights",),
    refuses=("averaged weights",),
    averages=True,
    follows=True,
):
    """Evaluate the mean of the weights at the ends of the latest k epochs.

    Until k epochs are over it is the mean of those there were. Training goes on at the weights, not
    at their mean. Unlike `swa`, whose mean grows with the tail of the run, this one forgets: it may
    be evaluated at any time of a run, under any schedule. Buffers are those of training, but for
    running statistics of batch normalization, which are re-estimated before the mean is evaluated.
    Beside lookahead it is the mean of the slow weights.

    Helps:
        In the middle of training, where learning rates are high: a validation loss that is reached
        epochs earlier. At the end of a schedule that falls to zero little of it is left.

    Costs:
        k copies of the weights; hardly any time, and a pass through the training rows at each
        evaluation where batch normalization needs it.

    Args:
        k: epochs that are averaged, >= 1; 1 evaluates the weights themselves.

    Raises:
        ValueError: for a number below 1.

    Reference:
        J. Kaddour, Stop wasting my time! Saving days of ImageNet and BERT training with latest
        weight averaging, 2022, section 3. https://arxiv.org/abs/2209.14981
    """

    k: Annotated[int, Range(1)]

    def advise(self, course: Course) -> Iterator[str]:
        if 0 < course.epochs < self.k:
            yield (
                f"k={self.k} is more than the run's {course.epochs} epochs, so that the mean is of "
                "all of them, the first ones too"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some, averaged = next(iter(state.values())), weights(state, kinds, "all")
        return {
            "count": some.new_zeros((), dtype=torch.float64),
            "latest": {name: w.new_zeros(self.k, *w.shape) for name, w in averaged.items()},
        }

    def track(self, step: Step, state: Tensors) -> Memory:
        if not step.ends_epoch:
            return step.memory
        latest = {
            name: torch.cat([kept[1:], state[name].unsqueeze(0)])
            for name, kept in step.memory["latest"].items()
        }
        return {"count": (step.memory["count"] + 1).clamp(max=self.k), "latest": latest}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        count = memory["count"]
        mean = {name: w.sum(0) / count.to(w).clamp(min=1) for name, w in memory["latest"].items()}
        return select(count > 0, state | mean, state)
