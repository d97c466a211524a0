"""What a simulated sweep is, and the ways to judge it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regexp.compare.estimator import Design, estimate
from regexp.compare.scope import Estimate
from regexp.compare.statistics import ALPHA, holm

TEST, VALIDATION = 0.2, 0.2  # of the rows, as in conf/dataset

Null = Literal["other rows", "this table"]
"""Where no technique is better: on average over tables of the kind alone, or on the table too."""


@dataclass(frozen=True)
class Sweep:
    """Differences to the baseline, by row.

    Attributes:
        differences: more is better, [techniques, seeds, rows].
        rows: their numbers in the table, [seeds, rows].
        design: how seeds split the rows.
        test: the first so many rows are those of the test split, which today's method looks at.
    """

    differences: NDArray[Any]
    rows: NDArray[np.int64]
    design: Design
    test: int

    @property
    def means(self) -> NDArray[np.float64]:
        """Of each technique, over the seeds that it has."""
        return np.asarray(np.nanmean(self.differences, (1, 2), dtype=float))

    def better(self, technique: int, effect: float) -> Sweep:
        """The sweep in which one technique is better by so much at every row."""
        differences = self.differences.astype(float)
        differences[technique] += effect
        return replace(self, differences=differences)

    def first(self, seeds: int) -> Sweep:
        """The sweep of the first seeds."""
        return replace(self, differences=self.differences[:, :seeds], rows=self.rows[:seeds])

    @property
    def of_test(self) -> Sweep:
        """The sweep without the rows that the training split leaves over."""
        rows = slice(self.test)
        return replace(self, differences=self.differences[..., rows], rows=self.rows[:, rows])


@dataclass(frozen=True)
class World:
    """Where sweeps come from.

    Attributes:
        name: for people.
        null: where no technique is better.
        draw: the sweep of a number.
        count: sweeps there are; None for any number.
        tables: that the sweeps take turns with; None where each has its own.
    """

    name: str
    null: Null
    draw: Callable[[int], Sweep]
    count: int | None = None
    tables: int | None = None


class Claims(NamedTuple):
    """Corrected p-values of a sweep's techniques by method, [techniques]."""

    before: NDArray[np.float64]
    table: NDArray[np.float64]
    rows: NDArray[np.float64]


def judged(sweep: Sweep) -> Claims:
    """By Nadeau and Bengio's test with Holm's correction, and by `regexp.compare`."""
    found = estimated(sweep)
    return Claims(before(sweep), found.table.adjusted, found.rows.adjusted)


def estimated(sweep: Sweep) -> Estimate:
    """As `regexp.compare` does it."""
    techniques, seeds, rows = sweep.differences.shape
    return estimate(
        sweep.differences.reshape(techniques, -1),
        np.repeat(np.arange(seeds), rows),
        sweep.rows.ravel(),
        sweep.design,
    )


def before(sweep: Sweep) -> NDArray[np.float64]:
    """p-values as they were before outputs by row were looked at.

    The corrected resampled t-test takes (1/n + n_test/n_train) s^2 for the variance of the mean
    (Nadeau and Bengio 2003), n_train without regard to `train_size`.
    """
    from scipy.stats import t

    scores = sweep.differences[:, :, : sweep.test].mean(2, dtype=float)
    seeds = scores.shape[1]
    overlap = 0.0 if sweep.design.one_split else TEST / (1 - TEST - VALIDATION)
    error = scores.std(1, ddof=1) * np.sqrt(1 / seeds + overlap)
    mean = np.abs(scores.mean(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(error > 1e-12, 2 * t.sf(mean / error, seeds - 1), 1.0)
    return holm(p)


def known(sweep: Sweep, deviation: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values of who knows how much mean differences deviate, [techniques]."""
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):  # of a technique that never does anything
        return holm(np.where(deviation > 0, 2 * ndtr(-np.abs(sweep.means) / deviation), 1.0))


def claims(p: NDArray[np.float64], level: float = ALPHA) -> NDArray[np.bool_]:
    """Of which technique something is said; nothing where there is no p-value."""
    return np.nan_to_num(p, nan=1.0) < level
