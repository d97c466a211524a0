"""Many comparisons at once, beside Holm's correction.

Holm's takes the worst of what the comparisons' dependence may be. Techniques that are held against
one baseline on the same rows depend on each other as their scores by row tell; step-down max-T
asks how often the largest of so many statistics is as large as the one seen.

References:
    Westfall and Young, "Resampling-based multiple testing", Wiley 1993, algorithm 2.8 (step-down
    min-P, which is max-T where all statistics have one distribution); Dudoit, Shaffer and Boldrick,
    Statistical Science 18, 2003, https://doi.org/10.1214/ss/1056397487; Benjamini and Hochberg,
    Journal of the Royal Statistical Society B 57, 1995.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from regexp.compare.statistics import Floats

DRAWS = 20_000
"""Of the largest statistic: a p-value of .05 has an error of .0015 by them."""


def copula(correlation: ArrayLike, draws: int = DRAWS) -> Floats:
    """Normal numbers with a correlation, [draws, variables]: the same at every call.

    Args:
        correlation: [variables, variables], positive semi-definite but for rounding.
        draws: how many.
    """
    values, vectors = np.linalg.eigh(np.asarray(correlation, dtype=float))
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(_normals(draws, len(root)) @ root.T)


@lru_cache(maxsize=4)
def _normals(draws: int, variables: int) -> Floats:
    return np.random.default_rng(0).standard_normal((draws, variables))


def max_t(p: ArrayLike, correlation: ArrayLike) -> Floats:
    """Step-down max-T p-values under normal statistics with this correlation.

    They are never above Holm's, which hold whatever the dependence. NaN stays, and counts as a
    comparison with nothing to show.

    Args:
        p: two-sided p-values of one family, [comparisons].
        correlation: of their statistics, [comparisons, comparisons].
    """
    from scipy.special import ndtri

    given = np.asarray(p, dtype=float)
    if not len(given):
        return given
    order = np.argsort(given)  # NaN last
    sizes = np.abs(ndtri(np.clip(np.nan_to_num(given[order], nan=1.0), 1e-300, 1) / 2))
    drawn = np.abs(copula(correlation))
    # of each step the largest of what is left, from the last one up
    largest = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    steps = ((largest >= sizes).sum(0) + 1) / (len(drawn) + 1)
    steps = np.minimum(steps, given[order] * np.arange(len(given), 0, -1))  # Holm's step
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return np.maximum(adjusted, given)  # below it only by the draws


def sign_flips(differences: ArrayLike) -> Floats:
    """Step-down max-T p-values, exact under the joint flips of signs.

    Where no technique differs, the differences of a dataset are as likely with the other sign,
    those of all techniques together. The statistic is the absolute sum over datasets of a
    technique's differences, each in units of its root of the sum of squares, which no flip
    changes. The least p is 2^(1 - datasets), whatever the number of techniques.

    Args:
        differences: [datasets, techniques], all finite; a technique without any has p = 1.

    Returns:
        [techniques]. Of all patterns of signs up to 14 datasets, else of `DRAWS` that are the same
        at every call.
    """
    given = np.asarray(differences, dtype=float)
    count = len(given)
    norms = np.sqrt((given**2).sum(0))
    units = np.divide(given, norms, out=np.zeros_like(given), where=norms > 0)
    seen = np.abs(units.sum(0))
    flips = _signs(count)
    order = np.argsort(-seen, kind="stable")
    drawn = np.abs(flips @ units)[:, order[::-1]]
    largest = np.maximum.accumulate(drawn, axis=1)[:, ::-1]
    reached = largest >= seen[order] * (1 - 1e-12) - 1e-15
    steps = reached.mean(0) if count <= _ENUMERATED else (reached.sum(0) + 1) / (len(flips) + 1)
    adjusted = np.empty(given.shape[1])
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


_ENUMERATED = 14


def _signs(count: int) -> NDArray[np.int8]:
    """Patterns of signs, [patterns, count]; of those that are each other's negative one."""
    if count <= _ENUMERATED:
        numbers = np.arange(2 ** max(count - 1, 0))[:, None]
        return np.asarray(1 - 2 * ((numbers >> np.arange(count)) & 1), dtype=np.int8)
    drawn = np.random.default_rng(0).integers(0, 2, (DRAWS, count), dtype=np.int8)
    return np.asarray(1 - 2 * drawn, dtype=np.int8)


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """p-values by which a list holds its share of false ones, on average.

    Args:
        p: of one family, [comparisons]; NaN stays, and counts.
    """
    # Not scipy's false_discovery_control, which takes half a second to import; see the tests.
    given = np.asarray(p, dtype=float)
    order = np.argsort(given)  # NaN last
    steps = given[order] * len(given) / np.arange(1, len(given) + 1)
    adjusted = np.empty(len(given))
    adjusted[order] = np.minimum(np.fmin.accumulate(steps[::-1])[::-1], 1)
    return np.where(np.isnan(given), np.nan, adjusted)
