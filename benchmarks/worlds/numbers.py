"""Scores that are random numbers, with tails and spreads that trained models hardly have."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from benchmarks.worlds.sweep import TEST, VALIDATION, Null, Sweep
from regexp.compare.estimator import Design

Tails = Literal["normal", "heavy", "skewed"]

OF_ROW, OF_SEED = 0.3, 0.04
"""Deviations of what an arm does to a row at every seed, and of what a run does to all rows,
relative to what it does to one row."""


def numbers(
    sweep: int,
    *,
    seed: int,
    techniques: int,
    seeds: int,
    null: Null,
    rows: int = 900,
    tails: Tails = "normal",
    of_seed: float = OF_SEED,
    unstable: float = 1.0,
    constant_baseline: bool = False,
) -> Sweep:
    """One sweep. A score is the sum of numbers of arm and row, of arm and seed, and of all three.

    Args:
        sweep: its number.
        seed: of the simulation.
        techniques, seeds: how many.
        null: where arms are equal. Over tables: then the rows at hand favour some arms, and so
            do the training rows, which three fifths of the table at each seed have in common.
        rows: of the table.
        tails: of all numbers: `heavy` those of Student's t with 3 degrees of freedom, `skewed`
            those of the exponential distribution.
        of_seed: the deviation of what a run does to all rows.
        unstable: how many times as much the last technique's weights vary over seeds.
        constant_baseline: its scores never vary, so that nothing cancels in the differences.
    """
    data, runs = (default_rng([seed, sweep, part]) for part in range(2))
    arms, test = techniques + 1, round(TEST * rows)
    validation = round(VALIDATION * rows)
    training = rows - test - validation
    tested = np.stack([runs.permutation(rows)[:test] for _ in range(seeds)])
    of_row = OF_ROW * _drawn(data, (arms, rows), tails)
    of_run = of_seed * _drawn(runs, (arms, seeds), tails)
    of_run[-1] *= unstable
    if null == "this table":
        of_row -= of_row.mean(1, keepdims=True)
    else:
        share = training / rows
        of_table = of_seed * _drawn(data, (arms, 1), tails)
        of_run = np.sqrt(1 - share) * of_run + np.sqrt(share) * of_table
    scores = of_row[:, tested] + of_run[:, :, None] + _drawn(runs, (arms, seeds, test), tails)
    if constant_baseline:
        scores[0] = 0.0
    return Sweep(scores[1:] - scores[0], tested, Design(rows, training, validation), test)


def _drawn(rng: Generator, shape: tuple[int, ...], tails: Tails) -> NDArray[np.float64]:
    """Numbers with mean 0 and variance 1."""
    match tails:
        case "heavy":
            return rng.standard_t(3, shape) / np.sqrt(3)
        case "skewed":
            return rng.exponential(1.0, shape) - 1
        case _:
            return rng.standard_normal(shape)
