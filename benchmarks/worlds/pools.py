"""Sweeps out of networks that were trained: of `networks.trained`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from benchmarks.worlds.networks import Outputs
from benchmarks.worlds.sweep import Sweep
from regexp.compare.estimator import Design

ROUNDING = 1e-4
"""Of a score, as far as another order of summation changes it in training."""


@dataclass(frozen=True)
class Pools:
    """Networks on tables of one kind, as worlds in which no technique helps.

    Attributes:
        outputs: of the networks.
        metric: a key of `Outputs.scores`.
    """

    outputs: Outputs
    metric: str

    @property
    def count(self) -> int:
        return len(self.outputs.rows)

    @property
    def design(self) -> Design:
        return Design(self.outputs.pool, self.outputs.training, self.outputs.validation)

    @cached_property
    def gains(self) -> NDArray[np.float64]:
        """What techniques gain on average over all tables, [techniques]."""
        means = self.outputs.scores[self.metric].mean((2, 3), dtype=float).mean(0)
        return np.asarray(means[1:] - means[0])

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """Which techniques change some score on every table beyond rounding, [techniques].

        The others have no part in a world in which all are alike: what did nothing is known to be
        no gain, and would have one if the gain of other tables were taken from it.
        """
        scores = self.outputs.scores[self.metric]
        arms = (scores[:, arm].astype(np.float32) for arm in range(1, scores.shape[1]))
        least = [np.abs(arm - scores[:, 0]).max((1, 2)).min() for arm in arms]
        return np.array(least) > ROUNDING

    def sweep(self, number: int, *, seeds: int, null: bool = True) -> Sweep:
        """The first seeds of all techniques on a table.

        Args:
            null: take from each technique what it gains on average over tables, so that none helps
                on other rows; on this very table it may.
        """
        scores = self.outputs.scores[self.metric][number, :, :seeds].astype(np.float64)
        differences = scores[1:] - scores[0]
        if null:
            differences = (differences - self.gains[:, None, None])[self.active]
        rows = self.outputs.rows[number, :seeds]
        return Sweep(differences, rows, self.design, self.outputs.test)

    def shuffled(self, number: int, *, seed: int, techniques: int, seeds: int) -> Sweep:
        """A sweep of techniques that are all none, at seeds drawn from those of one table.

        As arms differ by their random streams alone, so many as are asked for are drawn anew at
        each seed; no arm is better, on the table neither.

        Args:
            number: of the sweep; the tables take turns.
            seed: of the simulation.
            techniques, seeds: how many.
        """
        rng = default_rng([seed, number])
        scores = self.outputs.scores[self.metric][number % self.count]
        chosen = rng.permutation(scores.shape[1])[:seeds]
        arms = np.stack([rng.permutation(len(scores))[: techniques + 1] for _ in chosen])
        drawn = scores[arms.T, chosen].astype(np.float64)  # [arms, seeds, rows]
        rows = self.outputs.rows[number % self.count, chosen]
        return Sweep(drawn[1:] - drawn[0], rows, self.design, self.outputs.test)

    def in_order(self, number: int, *, seed: int, seeds: int) -> Sweep:
        """All techniques as they are on the first table, at seeds in an order of their own.

        Blocks of five seeds stay together, as their test folds are disjoint.

        Args:
            number: of the order.
            seed: of the simulation.
            seeds: how many.
        """
        scores = self.outputs.scores[self.metric][0]
        blocks = np.arange(scores.shape[1]).reshape(-1, 5)
        chosen = default_rng([seed, number]).permutation(blocks).ravel()[:seeds]
        drawn = scores[:, chosen].astype(np.float64)
        rows = self.outputs.rows[0, chosen]
        return Sweep(drawn[1:] - drawn[0], rows, self.design, self.outputs.test)
