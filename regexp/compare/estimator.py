"""How much techniques differ from their baseline, from their scores of every test row.

The difference of a technique at test row i of seed s is taken as

    delta_is = mu + a_i + b_s + e_is

with a_i what it does to that row at every seed, b_s what the seed's training rows and weights do to
all rows. With v the variance of delta within a seed and k its test rows, u = v / k is what the mean
of a seed would vary by the choice of rows alone, and F = s^2 / u says how much more the seeds'
means vary (s^2). F is alike for all techniques, as s^2 is not, and is sharpened over them
(`moderation`), but never below a technique's own, nor below what rows alone make.

Two questions are answered:

- *On this table*: other splits of these rows, other weights. Given the table, seeds are
  independent, and the variance of the mean is u F / n.
- *On other rows* of the same kind. Seeds share rows of the table, so that a part of the variance
  stays, however many the seeds: rho / (1 - rho) u F, where rho is the correlation of two seeds'
  means, of the rows that both test (the share alpha of v that rows repeat), of those that both
  train on (theta, what seeds vary beside, relative to u), and of those that one tests and the
  other trains on. Nadeau and Bengio's test takes rho = k / (k + m); here rho is measured, and no
  larger. Where all seeds test the same rows, alpha u stays, of each technique by itself, and what
  the training rows make that seeds share.

References:
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
    section 2, https://doi.org/10.1023/A:1024068626366 (the three correlations); Bates, Hastie and
    Tibshirani, "Cross-validation: what does it estimate and how well does it do it?", JASA 119,
    2024, https://doi.org/10.1080/01621459.2023.2197686.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regexp.compare.moderation import squeezed
from regexp.compare.multiple import max_t
from regexp.compare.scope import Effects, Estimate, Flags, both_scopes
from regexp.compare.statistics import ALPHA, Floats

CROSSED = 0.5
"""The correlation of what a row does as a test row and as a training row: not known, and no larger
in any of the networks that were measured."""


@dataclass(frozen=True)
class Design:
    """How seeds split the rows.

    Attributes:
        pool: rows that training and test rows are drawn from, N; training rows alone, where all
            seeds test the same rows.
        training: of a run, m.
        validation: of a run.
        one_split: whether all seeds have the same training rows and the same test rows.
        serial: whether rows depend on each other, as those of one series, or those of a group where
            the groups that are tested are always the same: nothing is then known of other rows.
    """

    pool: float
    training: float
    validation: float
    one_split: bool = False
    serial: bool = False


def estimate(
    differences: ArrayLike,
    seed: ArrayLike,
    row: ArrayLike,
    design: Design,
    *,
    alpha: float = ALPHA,
    matters: float = 0.0,
    members: ArrayLike = True,
    changed: ArrayLike | None = None,
) -> Estimate:
    """Compare the techniques of a family with their baseline, from scores by row.

    Args:
        differences: score of the technique - score of the baseline at the same row and seed, so
            that more is better, [techniques, observations]; NaN where a technique lacks the seed.
        seed: of each observation, [observations].
        row: number of its row in the table, [observations].
        design: how seeds split the rows.
        alpha: probability of a false claim in the family, of the critical values.
        matters: the least gain that matters.
        members: whether a technique is one of the family, [techniques] or one for all; others, such
            as an A/A arm, are described, and no technique's test is corrected for them.
        changed: whether a technique changed any score by more than rounding, [techniques]; one
            that did not is no member of the family. None for those with a difference that is not 0.

    Returns:
        One entry a technique. NaN where a technique has less than two seeds, or differences that
        are not finite.
    """
    deltas = np.asarray(differences)
    seed_at, row_at = (np.unique(np.asarray(of), return_inverse=True)[1] for of in (seed, row))
    parts = [_summed(delta, seed_at, row_at) for delta in deltas]
    of = {name: np.array([vars(part)[name] for part in parts]) for name in _NUMBERS}
    mean, pairs = of["mean"], of["pairs"]
    differ = (deltas != 0).any(1)
    moved = np.asarray(differ if changed is None else changed, dtype=bool)
    known = moved & (of["unit"] > 0) & np.isfinite(of["spread"])
    correlation = _correlation([part.row_sums for part in parts], known)
    moderated = _moderated(of, known, correlation) if known.any() else _UNKNOWN
    variance = np.where(known, of["unit"], np.nan) * moderated.ratio
    rho, tested_alike = _of_seeds(design, moderated)
    effects = Effects(
        mean=np.where(known, mean, np.nan),
        pairs=pairs,
        variance=variance,
        freedom=pairs - 1 + moderated.shared,
        member=moved & np.broadcast_to(np.asarray(members, dtype=bool), len(deltas)),
        correlation=correlation,
    )
    with np.errstate(divide="ignore"):  # seeds that have all in common tell nothing of others
        stays = variance * rho / np.float64(1 - rho - tested_alike) if rho else 0 * variance
    if moderated.again > _ALL:
        stays = stays + of["repeats"] * of["unit"]
    if design.serial:
        stays = stays * math.nan
    table, rows = both_scopes(effects, stays, max_t, alpha=alpha, matters=matters)
    return Estimate(
        mean=mean,
        pairs=pairs,
        changed=moved,
        table=table,
        rows=rows,
        correlation=correlation,
        shared=moderated.shared,
        repeats=moderated.repeats,
        theta=moderated.theta,
        rho=rho,
    )


@dataclass(frozen=True)
class _Summed:
    """What the tests need of a technique's differences by row."""

    pairs: int
    mean: float  # of the seeds' means
    spread: float  # variance of the seeds' means, s^2
    unit: float  # of what these vary by the choice of rows, u
    tested: float  # rows of a seed, k
    again: float  # of these, the share that another seed tests as well
    repeats: float  # share of a row's variance that comes back at another seed, alpha
    row_sums: Floats  # over seeds, without the mean, [rows]


_NUMBERS = ("pairs", "mean", "spread", "unit", "tested", "again", "repeats")


def _summed(
    delta: NDArray[np.floating[Any]],
    seed_at: NDArray[np.int64],
    row_at: NDArray[np.int64],
) -> _Summed:
    there = ~np.isnan(delta)
    count = int(row_at.max(initial=-1)) + 1
    values, seeds, rows = delta[there].astype(np.float64), seed_at[there], row_at[there]
    nothing = math.nan
    silent = np.zeros(count)
    if not len(values) or not np.isfinite(values).all():
        pairs = len(np.unique(seeds))
        return _Summed(pairs, nothing, nothing, nothing, nothing, nothing, nothing, silent)
    _, seeds, sizes = np.unique(seeds, return_inverse=True, return_counts=True)
    n = len(sizes)
    means = np.bincount(seeds, values) / sizes
    off = np.bincount(seeds, (values - means[seeds]) ** 2)
    unit = within = nothing
    if (sizes > 1).all():
        within = float((off / (sizes - 1)).mean())
        unit = float((off / (sizes - 1) / sizes).mean())
    mean, tested = float(means.mean()), float(sizes.mean())
    if n < 2:
        return _Summed(n, mean, nothing, unit, tested, 0.0, 1.0, silent)
    left = values - mean
    sums = np.asarray(np.bincount(rows, left, count), dtype=np.float64)
    times = np.bincount(rows)
    twice = float((times**2).sum() - len(rows))  # ordered pairs of seeds that test the same row
    repeats = 1.0  # where no row is tested twice nothing tells
    if twice and within > 0:
        products = float((sums**2).sum() - (left**2).sum())
        repeats = min(max(products / twice / within, 0.0), 1.0)
    again = twice / (n * (n - 1)) / tested
    spread = float(means.var(ddof=1))
    return _Summed(n, mean, spread, unit, tested, again, repeats, sums)


def _correlation(row_sums: Sequence[Floats], known: Flags) -> Floats:
    """Of the techniques' sums by row; of those of which nothing is known none."""
    found = np.eye(len(known))
    if known.any():
        sums = np.stack([sums for sums, there in zip(row_sums, known, strict=True) if there])
        sizes = np.sqrt((sums**2).sum(1, keepdims=True))
        units = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)
        found[np.ix_(known, known)] = units @ units.T
        np.fill_diagonal(found, 1.0)
    return found


@dataclass(frozen=True)
class _Moderated:
    """F of each technique, and what all of them share."""

    ratio: Floats | float
    shared: float
    repeats: float
    theta: float
    again: float
    tested: float


_UNKNOWN = _Moderated(*[math.nan] * 6)


def _moderated(of: dict[str, NDArray[Any]], known: Flags, correlation: Floats) -> _Moderated:
    """F over the techniques of which something is known."""
    among = correlation[np.ix_(known, known)]
    effective = len(among) ** 2 / float((among**2).sum())
    freedom = float(of["pairs"][known].min()) - 1
    weights = (of["unit"] * of["tested"])[known]
    again, tested = (float(of[name][known].mean()) for name in ("again", "tested"))
    repeats = float(np.average(of["repeats"][known], weights=weights))
    base = 1 - repeats * again  # of F, were there nothing but rows
    own = np.full(len(known), np.nan)
    own[known] = of["spread"][known] / of["unit"][known]
    found, shared = squeezed(own, of["pairs"] - 1, 2 * (effective - 1) * freedom)
    found = np.fmax(np.fmax(found, own), base)
    seen = float(np.average(found[known], weights=weights))
    theta = max(0.0, seen * (1 + math.sqrt(2 / (effective * freedom))) - base)
    return _Moderated(found, shared, repeats, theta, again, tested)


def _of_seeds(design: Design, of: _Moderated) -> tuple[float, float]:
    """The correlation of two seeds' means by what they share; where all test the same rows it is
    without that of these, which comes second.
    """
    trained = of.theta * design.training / design.pool
    if of.again > _ALL:
        most = of.tested / (of.tested + design.training)
        rho = 0.0 if design.one_split else min(trained / (1 + of.theta), most)
        return rho, of.repeats * of.again / (1 + of.theta)
    crossed = math.sqrt(of.repeats * of.theta * of.tested * design.training) / design.pool
    rho = (of.repeats * of.again + trained + 2 * CROSSED * crossed) / (1 + of.theta)
    most = of.tested / (design.pool - design.validation)
    return min(rho, max(most, of.again)), 0.0


_ALL = 0.999
"""Of a seed's test rows, the share from which on they are those of every seed."""
