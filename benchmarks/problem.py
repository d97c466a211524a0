"""The training problem that every competitor solves: data, network, initial weights, batches."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from regexp.random import Rng

FEATURES, HIDDEN, CLASSES = 20, 64, 3
BATCH = 128
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Problem:
    """Classification of `rows` random rows by a 20-64-64-3 network with batch norm and dropout.

    Attributes:
        rows: of the training split, a multiple of the batch size.
        dropout: probability of each hidden dropout layer.
        fused: whether torch's Adam is asked for its fused kernel.
        seed: of data, initial weights and the order of batches.
        clock: tells the time in seconds.
    """

    rows: int = 6400
    dropout: float = 0.2
    fused: bool = False
    seed: int = 0
    clock: Callable[[], float] = time.perf_counter

    @property
    def inputs(self) -> Tensor:
        """[rows, 20] float32."""
        return torch.randn(self.rows, FEATURES, generator=self._draws(1))

    @property
    def targets(self) -> Tensor:
        """[rows] int64: which of three random linear functions is largest, so there is a signal."""
        return (self.inputs @ torch.randn(FEATURES, CLASSES, generator=self._draws(2))).argmax(1)

    def network(self) -> nn.Sequential:
        """The network with its initial weights, the same at each call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return nn.Sequential(
                nn.Linear(FEATURES, HIDDEN),
                nn.BatchNorm1d(HIDDEN),
                nn.ReLU(),
                nn.Dropout(self.dropout),
                nn.Linear(HIDDEN, HIDDEN),
                nn.BatchNorm1d(HIDDEN),
                nn.ReLU(),
                nn.Dropout(self.dropout),
                nn.Linear(HIDDEN, CLASSES),
            )

    def optimizer(self, network: nn.Module) -> torch.optim.Adam:
        """Adam, as a user writes it (fused=False is torch's default on a CPU) or fused."""
        return torch.optim.Adam(
            network.parameters(), lr=LEARNING_RATE, fused=True if self.fused else None
        )

    def orders(self, seed: int | None = None) -> Iterator[Tensor]:
        """The order of the rows in each epoch [rows], the same sequence at each call.

        Args:
            seed: of another run; None for the problem's.
        """
        for epoch in itertools.count():
            yield Rng(self.seed if seed is None else seed, "order", epoch).permutation(
                self.rows
            )  # as in regexp.stack.stack

    def _draws(self, purpose: int) -> torch.Generator:
        return torch.Generator().manual_seed(1000 * self.seed + purpose)
