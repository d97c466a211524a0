"""Exponential moving averages of the weights: by their decay, and by their half-life."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

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
from regexp.regularizer.common import copied, towards


@dataclass(frozen=True)
class EMA(
    Regularizer,
    kind="averaging",
    neutral={"decay": 0.0},
    provides=("averaged weights",),
    refuses=("averaged weights",),
    averages=True,
    follows=True,
):
    """Evaluate the average a <- d * a + (1 - d) * w over the steps; training itself goes on at w.

    The average warms up: after t steps d is at most (1 + t) / (10 + t), so that it reaches back
    over about a ninth of the steps so far, and `decay` bounds that in long runs. The first step
    copies the weights: the random initial ones have no part in it. Buffers are those of training,
    but for running statistics of batch normalization, which belong to other weights than the
    averaged ones: they are re-estimated before those are evaluated.

    Beside lookahead it averages the slow weights. `ema_half_life` is the same average for runs of
    any length.

    Helps: noisy late training (small batches, large constant learning rates), about as much as
        lowering the learning rate would.

    Costs: one pass over the weights a step and a copy of them in memory; with batch normalization
        a pass over the training rows before each evaluation.

    Args:
        decay: the largest d, the weight of the past, in [0, 1): the average then reaches back about
            1 / (1 - decay) steps. At 0 the weights themselves are evaluated.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        B. Polyak, A. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J.
        Control Optim. 30 (1992). https://doi.org/10.1137/0330046. The warm-up is TensorFlow's:
        https://www.tensorflow.org/api_docs/python/tf/train/ExponentialMovingAverage
    """

    decay: Annotated[float, Range(0, 1, open_high=True)]

    def advise(self, course: Course) -> Iterator[str]:
        reach, largest = 1 / (1 - self.decay), warm_up(course.steps - 1)
        if reach > course.steps > 0:
            yield (
                f"decay={self.decay:g} would average over {reach:.0f} steps, and the run has "
                f"{course.steps}: its warm-up ends at {largest:.3g}, an average over about "
                f"{1 / (1 - largest):.0f} steps"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return copied(weights(state, kinds, "all"))

    def track(self, step: Step, state: Tensors) -> Memory:
        most = warm_up(step.index_tensor)
        # perhaps each run's own
        decay = torch.as_tensor(self.decay, dtype=torch.float64, device=most.device)
        newest = 1 - decay.clamp(max=most)
        return {name: towards(a, state[name], newest) for name, a in step.memory.items()}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return state | memory


@dataclass(frozen=True)
class EMAHalfLife(
    Regularizer,
    kind="averaging",
    provides=("averaged weights",),
    refuses=("averaged weights",),
    averages=True,
    follows=True,
):
    """Evaluate an exponential moving average of the weights whose half-life is a share of the run.

    After n steps it is the weighted mean of the weights w_1 ... w_n with the weights

        2^(-(n - i) / (half_life * steps)),  steps those of the whole run,

    so that early in a run, where its half-life is not over, it is nearly their plain mean (the
    correction of the bias that Adam's moments have; `ema` warms up otherwise, and by its warm-up no
    half-life above 0.08 of the run could come about). The decay d is 2^(-1 / (half_life * steps)):
    one half-life suits runs of any length and batches of any size, where a decay suits one number
    of steps. Buffers and running statistics are as in `ema`; beside lookahead it averages the slow
    weights.

    Helps: as `ema` does, where runs of several lengths are compared or tuned.

    Costs: as `ema`.

    Args:
        half_life: share of the run's steps in which the weight of the past halves, in (0, 1].

    Raises:
        ValueError: for a number out of its range.

    Reference:
        B. Polyak, A. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J.
        Control Optim. 30 (1992). https://doi.org/10.1137/0330046. Widths relative to the run: T.
        Karras et al., Analyzing and improving the training dynamics of diffusion models, CVPR 2024,
        section 3. https://arxiv.org/abs/2312.02696
    """

    half_life: Annotated[float, Range(0, 1, open_low=True)]

    def advise(self, course: Course) -> Iterator[str]:
        if 0 < self.half_life * course.steps < 1:
            yield (
                f"half_life={self.half_life:g} is less than one of the run's {course.steps} steps, "
                "so that the average is nearly the last weights"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return copied(weights(state, kinds, "all"))

    def track(self, step: Step, state: Tensors) -> Memory:
        done = step.index_tensor + 1
        half_life = torch.as_tensor(self.half_life, dtype=torch.float64, device=done.device)
        rate = -math.log(2) / (half_life * step.steps)
        newest = torch.expm1(rate) / torch.expm1(rate * done)  # (1 - d) / (1 - d^done)
        return {name: towards(a, state[name], newest) for name, a in step.memory.items()}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return state | memory


def warm_up(t: Any) -> Any:
    """The largest weight of the past after t earlier steps; of none, the first step copies."""
    return (1 + t) / (10 + t) * (t > 0)
