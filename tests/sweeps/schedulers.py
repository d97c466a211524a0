"""Schedulers as users write them, whose states cannot all be kept."""

from __future__ import annotations

import numpy as np
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler


class NumpyCosine(LRScheduler):
    """Its rates, and what it keeps, are NumPy's numbers."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.period = np.int64(10)
        super().__init__(optimizer)

    def get_lr(self) -> list[float | Tensor]:
        return [base * (1 + np.cos(self.last_epoch / self.period)) / 2 for base in self.base_lrs]


class WithFunction(NumpyCosine):
    def __init__(self, optimizer: Optimizer) -> None:
        self.factor = lambda step: 0.9**step
        super().__init__(optimizer)


class Warmup(NumpyCosine):
    """Holds another, as a gradual warm-up does."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.after = ExponentialLR(optimizer, 0.9)
        super().__init__(optimizer)


class Bare:
    """Steps, and has no state to be kept."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def step(self) -> None:
        self.optimizer.param_groups[0]["lr"] *= 0.9


class WithoutRate(LRScheduler):
    """Has forgotten to return its rates."""

    def get_lr(self) -> list[float | Tensor]:
        return [None for _ in self.base_lrs]  # type: ignore[misc]
