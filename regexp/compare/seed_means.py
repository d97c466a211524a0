"""How much techniques differ from their baseline, from one score a seed.

For metrics that no row has by itself, and for runs without test outputs by row. On this table: the
paired t-test. On other rows: Nadeau and Bengio's corrected resampled t-test, which takes
(1/n + n_test/n_train) s^2 for the variance of the mean. Both with the techniques' variances
moderated (`moderation`) but none below its own, and corrected after Holm.

Reference:
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
    section 3, https://doi.org/10.1023/A:1024068626366.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from regexp.compare.moderation import squeezed
from regexp.compare.scope import Effects, Estimate, both_scopes
from regexp.compare.statistics import ALPHA, holm

COMMON = 0.5
"""The correlation of two techniques' differences to one baseline, if all three vary alike."""


POOLED = 0.5
"""Degrees of freedom that a technique may borrow, of those that the others have.

More made false claims of three techniques at three seeds: simulated at a level of 4.5%, 8% with
four times as many, and 6% with twice; with this, 3.5% where they vary alike and 5.6% where one of
them varies three times as much."""


def estimate_of_means(
    differences: ArrayLike,
    overlap: float | None,
    *,
    alpha: float = ALPHA,
    matters: float = 0.0,
    members: ArrayLike = True,
    rounding: ArrayLike = 0.0,
) -> Estimate:
    """Compare the techniques of a family with their baseline, from one score a seed.

    Args:
        differences: score of the technique - score of the baseline at the same seed, so that more
            is better, [techniques, seeds]; NaN where a technique lacks the seed.
        overlap: n_test / n_train where every seed splits the data anew; None where all share one
            split, so that nothing is known of other rows.
        alpha: probability of a false claim in the family, of the critical values.
        matters: the least gain that matters.
        members: whether a technique is one of the family, as in `estimator.estimate`.
        rounding: differences up to this size are none, and seeds whose differences are as close
            tell no spread; [techniques] or one for all.

    Returns:
        As `estimator.estimate`; what only scores by row tell is NaN.
    """
    deltas = np.asarray(differences, dtype=float)
    grain = np.broadcast_to(np.asarray(rounding, dtype=float), len(deltas))
    there = ~np.isnan(deltas)
    pairs = there.sum(1)
    finite = (np.isfinite(deltas) | ~there).all(1) & (pairs > 0)
    safe = np.where(there & finite[:, None], deltas, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):  # of scores near the largest float
        mean = np.where(finite, safe.sum(1) / np.maximum(pairs, 1), np.nan)
        off = np.where(there, safe - np.nan_to_num(mean)[:, None], 0.0)
        spread = (off**2).sum(1) / np.maximum(pairs - 1, 1)
        apart = off.max(1, initial=0) - off.min(1, initial=0) > grain
    changed = ~finite | (np.abs(safe).max(1, initial=0) > grain)
    known = finite & changed & apart & np.isfinite(mean) & np.isfinite(spread) & (pairs > 1)
    spread = np.where(known, spread, np.nan)
    correlation = np.full((len(deltas), len(deltas)), COMMON)
    np.fill_diagonal(correlation, 1.0)
    most = 0.0
    if known.any():
        effective = known.sum() / (1 + (known.sum() - 1) * COMMON**2)
        most = POOLED * (effective - 1) * (float(pairs[known].min()) - 1)
    variance, shared = squeezed(spread, pairs - 1, most)
    variance = np.fmax(variance, spread)
    effects = Effects(
        mean=np.where(known, mean, np.nan),
        pairs=pairs,
        variance=variance,
        freedom=pairs - 1 + shared,
        member=changed & np.broadcast_to(np.asarray(members, dtype=bool), len(deltas)),
        correlation=correlation,
    )
    ratio = math.nan if overlap is None else overlap
    table, rows = both_scopes(
        effects, variance * ratio, lambda p, _: holm(p), alpha=alpha, matters=matters
    )
    return Estimate(
        mean=mean,
        pairs=pairs,
        changed=changed,
        table=table,
        rows=rows,
        correlation=correlation,
        shared=shared,
        repeats=math.nan,
        theta=math.nan,
        rho=ratio / (1 + ratio),
    )
