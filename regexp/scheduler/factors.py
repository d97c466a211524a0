"""Factors of the learning rate as functions of time, for `LambdaLR` and `MultiplicativeLR`.

Each is called with t, the number of steps (or epochs) done. They are classes so that equal ones
compare equal (runs that share a schedule can then share an optimizer), and so that YAML builds
them without `_partial_`, whose wrapper costs more at each call than the whole schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constant:
    """The same factor at every t: with `MultiplicativeLR`, an exponential decay."""

    factor: float

    def __call__(self, t: int) -> float:
        return self.factor


@dataclass(frozen=True)
class InverseSquareRoot:
    """Linear warm-up to 1, then a fall as 1 / sqrt(t): min((t+1)/warmup, sqrt(warmup/(t+1))).

    Args:
        warmup: steps until the peak, at least 1.

    Raises:
        ValueError: if there is no warm-up.

    Reference:
        Vaswani et al. (2017), equation 3, https://arxiv.org/abs/1706.03762; scaled to a peak of 1.
    """

    warmup: int

    def __post_init__(self) -> None:
        if self.warmup < 1:
            raise ValueError(f"scheduler: warmup must be at least 1, got {self.warmup}")

    def __call__(self, t: int) -> float:
        return min((t + 1) / self.warmup, math.sqrt(self.warmup / (t + 1)))


@dataclass(frozen=True)
class InverseTime:
    """1 / (1 + decay * t).

    Args:
        decay: per step, at least 0.

    Raises:
        ValueError: if the decay is negative.

    Reference:
        Robbins & Monro (1951), https://doi.org/10.1214/aoms/1177729586.
    """

    decay: float

    def __post_init__(self) -> None:
        if self.decay < 0:
            raise ValueError(f"scheduler: decay must be at least 0, got {self.decay}")

    def __call__(self, t: int) -> float:
        return 1 / (1 + self.decay * t)


@dataclass(frozen=True)
class WarmupCosine:
    """Linear from `start` to 1 at t = warmup, then a half cosine to `end` at t = total.

    It stays at `end` beyond `total`, where torch's `CosineAnnealingLR` would climb again.

    Args:
        total: steps of the run.
        warmup: steps of the warm-up, 0 (none) to total.
        start: factor at t = 0, if there is a warm-up.
        end: factor at t = total.

    Raises:
        ValueError: if the warm-up is longer than the run.

    References:
        Goyal et al. (2017), section 2.2, https://arxiv.org/abs/1706.02677; Loshchilov & Hutter
        (2017), equation 5, https://arxiv.org/abs/1608.03983.
    """

    total: int
    warmup: int
    start: float
    end: float

    def __post_init__(self) -> None:
        if not 0 <= self.warmup <= self.total:
            raise ValueError(
                f"scheduler: a warm-up of {self.warmup} steps does not fit in a run of "
                f"{self.total}; it must be 0 or more and no longer than the run"
            )

    def __call__(self, t: int) -> float:
        if t < self.warmup:
            return self.start + (1 - self.start) * t / self.warmup
        progress = min(1.0, (t - self.warmup) / max(1, self.total - self.warmup))
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * progress)) / 2
