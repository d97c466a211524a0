"""Variances of many techniques, each sharpened by the others.

A variance that n seeds tell has n - 1 degrees of freedom, which is little: with 6 seeds a test at
5% over 15 techniques needs 5.2 standard errors, with the variance known 2.9. Variances of
techniques that are held against the same baseline on the same rows are alike. limma takes them as
s_j^2 ~ sigma_j^2 chi^2(d_j) / d_j with 1 / sigma_j^2 ~ chi^2(d_0) / (d_0 s_0^2), estimates d_0 and
s_0^2 from all of them, and has d_0 + d_j degrees of freedom for each.

Reference:
    Smyth, "Linear models and empirical Bayes methods for assessing differential expression in
    microarray experiments", Statistical Applications in Genetics and Molecular Biology 3, 2004,
    section 6.2, https://doi.org/10.2202/1544-6115.1027.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from regexp.compare.statistics import Floats

LEAST = 3
"""Variances without which nothing is said of the others."""

_GRAIN = 1e-5
"""The least variance that is taken as it is, relative to the median: limma's."""


def prior(variances: ArrayLike, freedom: ArrayLike) -> tuple[float, float]:
    """limma's fitFDist: the distribution that variances are drawn from.

    Args:
        variances: s_j^2, positive and finite, [variances]; two or more.
        freedom: their degrees of freedom d_j, [variances] or one for all.

    Returns:
        (s_0^2, d_0). Where the variances differ by no more than their own spread d_0 is infinite,
        and s_0^2 their mean.
    """
    from scipy.special import digamma, polygamma

    s, d = np.broadcast_arrays(np.asarray(variances, float), np.asarray(freedom, float))
    s = np.maximum(s, _GRAIN * np.median(s))
    logs = np.log(s) - digamma(d / 2) + np.log(d / 2)
    extra = float(logs.var(ddof=1) - polygamma(1, d / 2).mean())
    if extra <= 0 or math.isinf(found := 2 * inverse_trigamma(extra)):
        return float(np.average(s, weights=d)), math.inf
    return float(np.exp(logs.mean() + digamma(found / 2) - np.log(found / 2))), found


def inverse_trigamma(value: float) -> float:
    """x > 0 with polygamma(1, x) = value > 0; infinite below 1e-8."""
    from scipy.optimize import brentq
    from scipy.special import polygamma

    if value < 1e-8:
        return math.inf
    # 1 / x < polygamma(1, x) < 1 / x + 1 / x^2
    return float(brentq(lambda x: polygamma(1, x) - value, 0.5 / value**0.5, 2 / value + 1))


def squeezed(
    variances: ArrayLike, freedom: ArrayLike, most: float = math.inf
) -> tuple[Floats, float]:
    """Variances drawn towards each other, (d_0 s_0^2 + d_j s_j^2) / (d_0 + d_j).

    Args:
        variances: s_j^2, [variances]; NaN where there is none.
        freedom: their degrees of freedom d_j, [variances].
        most: d_0 is no larger: variances that are correlated know less of each other than
            independent ones.

    Returns:
        (the variances, and d_0). With less than `LEAST` that are positive they stay as they are,
        and d_0 is 0.
    """
    s = np.asarray(variances, dtype=float)
    d = np.broadcast_to(np.asarray(freedom, dtype=float), s.shape)
    known = np.isfinite(s) & (s > 0)
    if known.sum() < LEAST or most <= 0:
        return s, 0.0
    center, shared = prior(s[known], d[known])
    if shared > most:
        # as if they differed no more than by chance, of which less is then believed
        center, shared = float(np.average(s[known], weights=d[known])), most
    if math.isinf(shared):
        return np.where(np.isnan(s), np.nan, center), shared
    return (shared * center + d * s) / (shared + d), shared
