"""What is known of the differences to a baseline at equal seeds, and corrections of p-values.

The tests themselves are `estimator` (from scores by row) and `seed_means` (from one score a seed).

References:
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
    section 3, https://doi.org/10.1023/A:1024068626366; Holm, "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 6, 1979.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

ALPHA = 0.05
"""The probability of a false claim in a family."""

POWER = 0.8
"""The probability with which the detectable difference is found."""

ROUNDING = 4 * float(np.finfo(np.float32).eps)
"""Scores that differ by less than this share of them are equal: they are computed in float32."""

Floats = NDArray[np.float64]


def overlap_of(test: float, validation: float) -> float:
    """n_test / n_train of splits that every seed draws anew, from the shares of all rows.

    Validation rows do not count as training rows, though a run learns from them when to stop; that
    is the careful way to count. With 20% for test and 20% for validation the ratio is 0.33; ridge
    regressions on real splits (`benchmarks/verdicts.py`) need 0.2 to 0.3. `dataset.train_size` is
    left out: fewer training rows have less in common, and those regressions then need 0.14.

    Args:
        test, validation: `dataset.test` and `dataset.validation`.
    """
    return test / (1 - validation - test)


@dataclass(frozen=True)
class Paired:
    """The scores of a technique and of its baseline at equal seeds, summed up.

    Attributes:
        pairs: seeds with a score of both.
        missing: seeds with a score of only one of them, or of none (NaN).
        infinite: pairs whose difference is not finite; with one of them there is no test.
        mean: of technique - baseline.
        sd: sample standard deviation of the differences; 0 where they are equal but for
            rounding, NaN for less than two pairs.
        improvement: share of the pairs in which the technique is better; ties count half.
    """

    pairs: int
    missing: int
    infinite: int
    mean: float
    sd: float
    improvement: float


def finite_sizes(numbers: Floats) -> Floats:
    """Their absolute values, of which rounding is a share; 0 of those that are not finite."""
    return np.where(np.isfinite(numbers), np.abs(numbers), 0.0)


def paired(
    technique: ArrayLike,
    baseline: ArrayLike,
    *,
    lower_is_better: bool = False,
) -> Paired:
    """Sum up the differences.

    Args:
        technique, baseline: scores at the same seeds, [seeds]; NaN where there is none.
        lower_is_better: True for errors and losses.
    """
    ours, theirs = np.asarray(technique, dtype=float), np.asarray(baseline, dtype=float)
    there = ~(np.isnan(ours) | np.isnan(theirs))
    missing = int((~there).sum())
    ours, theirs = ours[there], theirs[there]
    n = len(ours)
    if n == 0:
        return Paired(0, missing, 0, math.nan, math.nan, math.nan)
    grain = ROUNDING * float(max(finite_sizes(scores).max() for scores in (ours, theirs)))
    with np.errstate(over="ignore", invalid="ignore"):  # of scores near the largest float
        differences = ours - theirs
        tied = (ours == theirs) | (np.abs(differences) <= grain)
        better = ~tied & (ours < theirs if lower_is_better else ours > theirs)
        improvement = float(np.mean(better + 0.5 * tied))
        infinite = int((~np.isfinite(differences)).sum())
        mean = float(differences.mean())
        if infinite:
            return Paired(n, missing, infinite, mean, math.nan, improvement)
        # Else differences that are equal but for rounding, s = 1e-17, would "prove" anything.
        sd = float(differences.std(ddof=1)) if n > 1 else math.nan
        if n > 1 and np.ptp(differences) <= grain:
            sd, mean = 0.0, mean if abs(mean) > grain else 0.0
    return Paired(n, missing, infinite, mean, sd, improvement)


def detectable_errors(freedom: ArrayLike, level: float) -> Floats:
    """The difference that a two-sided t-test at `level` finds with probability `POWER`, on the
    side where it is.

    It rests on the spread that was observed, not on the difference that was. Of that spread it
    knows that n seeds only estimate it: a sweep that prints the difference and another one, with a
    true difference as large, are both drawn. Else 80% would be 58% with 3 seeds, 72% with 10.

    Args:
        freedom: degrees of freedom of the spread, [...].
        level: for a family of m comparisons ALPHA / m, the level of Holm's first and strictest
            step.

    Returns:
        In standard errors, [...]; NaN of NaN.
    """
    given = np.asarray(freedom, dtype=float)
    multiples = [
        math.nan if math.isnan(each) else _multiple(float(each), level) for each in given.flat
    ]
    return np.reshape(np.array(multiples), given.shape)


@lru_cache
def _multiple(freedom: float, level: float) -> float:
    """The detectable difference in standard errors: c, where the expected value of
    Phi(c s1 - q s2) is the power.

    Of two sweeps s1 and s2 are what they estimate as standard error, relative to the true one
    (s^2 times the degrees of freedom is chi-squared); q is the critical value, Phi the normal
    distribution function.
    """
    from scipy.optimize import brentq
    from scipy.special import gammaincinv, nctdtrinc, ndtr, stdtrit

    critical = -stdtrit(freedom, level / 2)
    # chi-squared by its quantiles, which are twice those of a gamma distribution
    s = np.sqrt(2 * gammaincinv(freedom / 2, (np.arange(200) + 0.5) / 200) / freedom)

    def lacking(multiple: float) -> float:
        return float(ndtr(multiple * s[:, None] - critical * s).mean() - POWER)

    known = nctdtrinc(freedom, 1 - POWER, critical)  # with the first sweep's spread known
    return float(brentq(lacking, 0, 10 * known))


def holm(p: ArrayLike) -> Floats:
    """Holm's corrected p-values: the running maximum of p_(1) m, p_(2) (m - 1), ..., p_(m).

    A comparison without a p-value (NaN) has none after it either, but counts: techniques that
    fail must not make it easier for the others.

    Args:
        p: of one family, [comparisons].
    """
    # Not statsmodels' multipletests, which takes seconds to import and collects the whole
    # process's garbage at every call; the tests hold this against it.
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)  # NaN last: as if it were 1
    corrected = np.empty(len(values))
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
