"""Lookahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

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
from regexp.regularizer.common import copied, towards


@dataclass(frozen=True)
class Lookahead(
    Regularizer,
    kind="averaging",
    neutral={"k": 1, "alpha": 1.0},
    provides=("slow weights",),
    refuses=("slow weights",),
    averages=True,
):
    """Every k steps, step back: slow <- slow + alpha * (fast - slow), and fast <- slow.

    The optimizer makes its k steps at the fast weights; its own state (momentum) is kept across
    the synchronization. The slow weights are those that are evaluated: between two synchronization
    points the ones of the last, which training has left by up to k - 1 steps (before the first, the
    initial ones). The last step of a run synchronizes too, whatever their number. Running
    statistics of batch normalization are re-estimated where the evaluated weights are not those of
    training.

    List it after decay and whatever else changes the step; constraints and sparsity come after it
    wherever they are listed. Averages beside it (`ema`, `swa`, `swag`) are of the slow weights.

    Helps:
        With optimizers whose steps are noisy or a bit too long: less variance, and a learning rate
        that matters less. Little is left to gain under a rate that falls to zero.

    Costs:
        One more copy of the weights; hardly any time.

    Args:
        k: optimizer steps between two synchronizations, >= 1.
        alpha: the share of the way that the slow weights go, in (0, 1]; at 1 training is the plain
            one, and with k = 1 evaluation too.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        M. Zhang et al., Lookahead optimizer: k steps forward, 1 step back, NeurIPS 2019,
        algorithm 1. https://arxiv.org/abs/1907.08610
    """

    k: Annotated[int, Range(1)]
    alpha: Annotated[float, Range(0, 1, open_low=True)]

    def advise(self, course: Course) -> Iterator[str]:
        if self.k > 1 and self.k >= course.steps:
            yield (
                f"k={self.k} is no less than the run's {course.steps} steps: the weights that are "
                "evaluated are the initial ones until its end"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return copied(weights(state, kinds, "all"))

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        if not self._synchronizes(step):
            return new
        slow = step.memory
        return {name: towards(slow[name], fast, self.alpha) for name, fast in new.items()}

    def track(self, step: Step, state: Tensors) -> Memory:
        if not self._synchronizes(step):
            return step.memory
        return {name: state[name].clone() for name in step.memory}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return state | memory

    def _synchronizes(self, step: Step) -> bool:
        done = step.index + 1
        return done % self.k == 0 or done == step.steps
