"""ZClip: gradient clipping by the z-score of the norm."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import (
    Course,
    GradientView,
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
)
from regexp.regularizer.common import global_norm


@dataclass(frozen=True)
class ZClip(Regularizer, kind="gradient", neutral={"threshold": math.inf}):
    """Shorten gradients whose norm n is an outlier: z = (n - mean) / deviation > threshold.

    Such a gradient gets the norm mean + deviation * threshold^2 / z, which is the lower the farther
    off it was. Mean and variance of the norms are those of the first `warmup` steps, in which
    nothing is clipped, and then exponential averages,

        mean <- decay * mean + (1 - decay) * n',
        variance <- decay * variance + (1 - decay) * (n' - mean)^2,

    with the norm n' that the gradient was left with. The norm is one over all parameters together,
    so the direction is kept. 1e-6 is added to the deviation, as the authors do. List it after
    techniques whose gradients it should clip; two clippings around one step are the usual mistake.

    Helps: long trainings with rare bad batches, without a limit to tune: it follows the norm as
    that falls over the run. A guard rather than a regularizer.

    Costs: one norm over the gradients a step, next to nothing.

    Args:
        threshold: of the z-score, > 0, in standard deviations.
        decay: of mean and variance, in [0, 1); the paper's alpha.
        warmup: steps of which the first mean and variance are, >= 2.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        A. Kumar et al., ZClip: adaptive spike mitigation for LLM pre-training, 2025, section 3 and
        algorithm 1. https://arxiv.org/abs/2504.02507
    """

    threshold: Annotated[float, Range(0, open_low=True)]
    decay: Annotated[float, Range(0, 1, open_high=True)]
    warmup: Annotated[int, Range(2)]

    def advise(self, course: Course) -> Iterator[str]:
        if self.warmup >= course.steps and self.threshold < math.inf:
            yield (
                f"warmup={self.warmup} leaves none of the run's {course.steps} steps in which "
                "anything is clipped"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some = next(iter(state.values()))
        none = some.new_zeros((), dtype=torch.float64)
        return {"mean": none, "variance": none.clone()}

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        norm = global_norm(view.gradients).double()
        mean, variance, done = step.memory["mean"], step.memory["variance"], step.index_tensor
        warm = done >= self.warmup
        deviation = variance.sqrt()
        z = (norm - mean) / (deviation + 1e-6)
        is_outlier = warm & (z > self.threshold)
        shorter = mean + deviation * self.threshold**2 / z
        scale = torch.where(is_outlier, shorter / norm, 1.0)
        left = torch.where(is_outlier, shorter, norm)
        # Welford's mean and variance, or exponential ones: both move towards the new norm
        share = torch.where(warm, 1 - self.decay, 1 / (done + 1))
        moved = mean + share * (left - mean)
        squares = torch.where(warm, (left - moved).square(), (left - mean) * (left - moved))
        memory = {"mean": moved, "variance": variance + share * (squares - variance)}
        return {name: (scale * g).to(g) for name, g in view.gradients.items()}, memory
