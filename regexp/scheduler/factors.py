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
class ConstantTail:
    """`base` until t = start, then a half cosine to `rate` over `anneal`, then `rate`.

    It keeps the weights moving at the end, for averaging them; the values are those of
    `torch.optim.swa_utils.SWALR` begun after so many steps of the base schedule.

    Args:
        total: steps of the run.
        start: where the tail begins, 0 to total.
        anneal: steps from the base to the tail's rate, at least 0.
        rate: factor of the tail, at least 0.
        base: `constant` (1), or `cosine` (a half cosine that would reach 0 at t = total).

    Raises:
        ValueError: for a number out of its range or another base.

    Reference:
        Izmailov et al. (2018), section 3, https://arxiv.org/abs/1803.05407.
    """

    total: int
    start: int
    anneal: int
    rate: float
    base: str

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.total:
            raise ValueError(
                f"scheduler: start must lie within the run of {self.total} steps, got {self.start}"
            )
        for name in ("anneal", "rate"):
            if getattr(self, name) < 0:
                raise ValueError(f"scheduler: {name} must be at least 0, got {getattr(self, name)}")
        if self.base not in ("constant", "cosine"):
            raise ValueError(f"scheduler: base must be constant or cosine, got {self.base!r}")

    def __call__(self, t: int) -> float:
        before = 1.0 if self.base == "constant" else _half_cosine(min(t, self.start) / self.total)
        if t <= self.start:
            return before
        left = _half_cosine(min(1.0, (t - self.start) / max(1, self.anneal)))
        return self.rate + (before - self.rate) * left


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
        return self.end + (1 - self.end) * _half_cosine(progress)


@dataclass(frozen=True)
class WarmupStableDecay:
    """Linear from `start` to 1 at t = warmup, 1, then linear to `end` over the last `decay` steps.

    Args:
        total: steps of the run.
        warmup: steps of the warm-up, at least 0.
        decay: steps of the decay, at least 0.
        start: factor at t = 0, if there is a warm-up.
        end: factor at t = total, if there is a decay.

    Raises:
        ValueError: if warm-up and decay together are longer than the run.

    Reference:
        Haegele et al. (2024), section 3, https://arxiv.org/abs/2405.18392.
    """

    total: int
    warmup: int
    decay: int
    start: float
    end: float

    def __post_init__(self) -> None:
        if min(self.warmup, self.decay) < 0 or self.warmup + self.decay > self.total:
            raise ValueError(
                f"scheduler: a warm-up of {self.warmup} and a decay of {self.decay} steps do not "
                f"fit in a run of {self.total}; they must be 0 or more and no longer than the run"
            )

    def __call__(self, t: int) -> float:
        if t < self.warmup:
            return self.start + (1 - self.start) * t / self.warmup
        late = max(0, min(t, self.total) - (self.total - self.decay))
        return 1 - (1 - self.end) * late / max(1, self.decay)


def _half_cosine(progress: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return (1 + math.cos(math.pi * progress)) / 2
