"""Exponential moving average of the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import (
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
)
from regexp.regularizer.common import copied, towards


@dataclass(frozen=True)
class EMA(
    Regularizer,
    kind="averaging",
    neutral={"decay": 0.0},
    provides=("the evaluated weights",),
    refuses=("the evaluated weights",),
    averages=True,
):
    """Evaluate the average a <- d * a + (1 - d) * w over the steps; training itself goes on at w.

    The first step copies the weights, as torch.optim.swa_utils does, so the random initial weights
    have no part in the average. Running statistics of batch normalization belong to other weights
    than the averaged ones: they are re-estimated before those are evaluated.

    Helps: noisy late training (small batches, large constant learning rates), about as much as
        lowering the learning rate would; an average longer than the run only lags behind.

    Costs: one pass over the weights a step and a copy of them in memory; with batch normalization
        a pass over the training rows before each evaluation.

    Args:
        decay: d, the weight of the past, in [0, 1): the average reaches back about 1 / (1 - d)
            steps, which should be far fewer than a run has.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        B. Polyak, A. Juditsky, Acceleration of stochastic approximation by averaging, SIAM J.
        Control Optim. 30 (1992). https://doi.org/10.1137/0330046
    """

    decay: Annotated[float, Range(0, 1, open_high=True)]

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return copied(state)

    def track(self, step: Step, state: Tensors) -> Memory:
        newest = 1.0 if step.index == 0 else 1 - self.decay
        return {name: towards(a, state[name], newest) for name, a in step.memory.items()}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return memory
