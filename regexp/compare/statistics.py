"""How much a technique differs from the baseline at equal seeds, and how sure that is.

The scores of a technique and of its baseline are paired by seed. Two cases, told apart by
`overlap`:

- Every seed splits the data anew. The splits overlap, so the differences are correlated, and an
  ordinary t-test finds far too much: with 10 seeds its 5% become 16 to 30%. The corrected
  resampled t-test takes (1/n + n_test/n_train) s^2 for the variance of the mean, in place of
  s^2/n. What it says is about new data of the same kind, split like these.
- All runs share one split. Given the split, seeds are independent, and the test is the paired
  t-test. What it says is about new seeds on this split alone: neither about other test rows nor
  about other training rows.

All comparisons of one dataset and setting are one family. Holm's p-values decide; they hold the
probability that any claim of a family is false at 5% or below. Two intervals stand beside them.
The 95% interval is that of a technique looked at alone. The simultaneous intervals (Bonferroni's)
cover all differences of the family at once with 95%. They agree: where a simultaneous interval
leaves out zero, Holm's p is below 5%, and where that is so, the 95% interval leaves out zero.
Holm's test finds a little more than Bonferroni's, so a simultaneous interval may just hold zero
where Holm's p is below 5%; intervals that match Holm's test to the last exist, but are cut off at
zero and say nothing about size (Strassburger and Bretz 2008).

References:
    Nadeau and Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
    section 3, https://doi.org/10.1023/A:1024068626366; Holm, "A simple sequentially rejective
    multiple test procedure", Scandinavian Journal of Statistics 6, 1979; Strassburger and Bretz,
    Statistics in Medicine 27, 2008, https://doi.org/10.1002/sim.3338.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    import pandas as pd

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
        error: standard error of the mean.
        improvement: share of the pairs in which the technique is better; ties count half.
    """

    pairs: int
    missing: int
    infinite: int
    mean: float
    sd: float
    error: float
    improvement: float


def paired(
    technique: ArrayLike,
    baseline: ArrayLike,
    *,
    overlap: float | None,
    lower_is_better: bool = False,
) -> Paired:
    """Sum up the differences.

    Args:
        technique, baseline: scores at the same seeds, [seeds]; NaN where there is none.
        overlap: n_test / n_train where every seed splits the data anew; None where all share one
            split.
        lower_is_better: True for errors and losses.
    """
    ours, theirs = np.asarray(technique, dtype=float), np.asarray(baseline, dtype=float)
    there = ~(np.isnan(ours) | np.isnan(theirs))
    missing = int((~there).sum())
    ours, theirs = ours[there], theirs[there]
    n = len(ours)
    if n == 0:
        return Paired(0, missing, 0, math.nan, math.nan, math.nan, math.nan)
    better = ours < theirs if lower_is_better else ours > theirs
    improvement = float(np.mean(better + 0.5 * (ours == theirs)))
    with np.errstate(over="ignore", invalid="ignore"):  # of scores near the largest float
        differences = ours - theirs
        infinite = int((~np.isfinite(differences)).sum())
        mean = float(differences.mean())
        if infinite:
            return Paired(n, missing, infinite, mean, math.nan, math.nan, improvement)
        # Else differences that are equal but for rounding, s = 1e-17, would "prove" anything.
        grain = ROUNDING * max(np.abs(ours).max(), np.abs(theirs).max())
        sd = float(differences.std(ddof=1)) if n > 1 else math.nan
        if n > 1 and np.ptp(differences) <= grain:
            sd, mean = 0.0, mean if abs(mean) > grain else 0.0
        error = sd * math.sqrt(1 / n + (overlap or 0.0))
    return Paired(n, missing, infinite, mean, sd, error, improvement)


def p_value(mean: ArrayLike, error: ArrayLike, pairs: ArrayLike) -> Floats:
    """Two-sided p-value of the t-test with pairs - 1 degrees of freedom.

    1 where no pair differs; NaN where the spread is not known: one pair, or differences that are
    equal and not zero.

    Args:
        mean, error, pairs: as in `Paired`, [...].
    """
    from scipy.special import stdtr

    means, errors, n, known = _known(mean, error, pairs)
    with np.errstate(over="ignore"):
        p = 2 * stdtr(n - 1, -np.abs(means) / errors)
    same = (np.asarray(error) == 0) & (np.asarray(mean) == 0)
    return np.where(known, p, np.where(same, 1.0, np.nan))


def interval(
    mean: ArrayLike, error: ArrayLike, pairs: ArrayLike, level: float
) -> tuple[Floats, Floats]:
    """Confidence interval of the mean difference; NaN where the spread is not known.

    Args:
        mean, error, pairs: as in `Paired`, [...].
        level: the probability to miss the true difference: 0.05 for a 95% interval.
    """
    from scipy.special import stdtrit

    means, errors, n, known = _known(mean, error, pairs)
    reach = np.where(known, -stdtrit(n - 1, level / 2) * errors, np.nan)
    return means - reach, means + reach


def detectable(error: ArrayLike, pairs: ArrayLike, level: float, power: float = POWER) -> Floats:
    """The difference that a two-sided t-test at `level` finds with probability `power`.

    It rests on the spread that was observed, not on the difference that was. Of that spread it
    knows that n seeds only estimate it: a sweep that prints the difference and another one, with a
    true difference as large, are both drawn. Else 80% would be 58% with 3 seeds, 72% with 10.

    Args:
        error, pairs: as in `Paired`, [...].
        level: for a family of m comparisons ALPHA / m, the level of Holm's first and strictest
            step.
        power: the probability to find it, on the side where it is.
    """
    _, errors, n, known = _known(0.0, error, pairs)
    return np.where(known, detectable_errors(n - 1, level, power) * errors, np.nan)


def detectable_errors(freedom: ArrayLike, level: float, power: float = POWER) -> Floats:
    """`detectable` in standard errors, of their degrees of freedom, [...]; NaN of NaN."""
    given = np.asarray(freedom, dtype=float)
    multiples = [
        math.nan if math.isnan(each) else _multiple(float(each), level, power)
        for each in given.flat
    ]
    return np.reshape(np.array(multiples), given.shape)


@lru_cache
def _multiple(freedom: float, level: float, power: float) -> float:
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
        return float(ndtr(multiple * s[:, None] - critical * s).mean() - power)

    known = nctdtrinc(freedom, 1 - power, critical)  # with the first sweep's spread known
    return float(brentq(lacking, 0, 10 * known))


def _known(
    mean: ArrayLike, error: ArrayLike, pairs: ArrayLike
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """(mean, error, pairs, whether they have a distribution), with a stand-in where not."""
    means, errors, n = (np.asarray(value, dtype=float) for value in (mean, error, pairs))
    known = np.isfinite(means) & np.isfinite(errors) & (errors > 0) & (n > 1)
    return means, np.where(known, errors, 1.0), np.where(known, n, 2.0), known


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


def compare_family(
    pairs: Mapping[Any, tuple[pd.Series, pd.Series]],
    *,
    overlap: float | None,
    lower_is_better: bool = False,
) -> pd.DataFrame:
    """Compare every technique of one dataset and setting with its baseline.

    Args:
        pairs: for each technique its scores and those of its baseline, by seed. NaN (or no such
            seed) where a run has none.
        overlap: n_test / n_train where every seed splits the data anew, see `overlap_of`; None
            where all runs share one split.
        lower_is_better: True for errors and losses.

    Returns:
        One row a technique, in their order:

        - `pairs`, `missing`, `infinite`, `mean`, `sd`, `error`, `improvement`: see `Paired`
        - `low`, `high`: the 95% interval of the mean difference
        - `p`, `p_holm`: two-sided, of this comparison alone and corrected for the family
        - `simultaneous_low`, `simultaneous_high`: of all intervals that cover with 95% together
        - `detectable`: the difference that would have been found with a probability of 80%

    Raises:
        ValueError: a seed that has two scores.
    """
    import pandas as pd

    rows = []
    for name, (technique, baseline) in pairs.items():
        if technique.index.has_duplicates or baseline.index.has_duplicates:
            raise ValueError(f"{name}: a seed has two scores; keep one run a seed")
        ours, theirs = technique.align(baseline, join="outer")
        result = paired(ours, theirs, overlap=overlap, lower_is_better=lower_is_better)
        rows.append(vars(result))
    columns = {name: np.array([row[name] for row in rows]) for name in Paired.__annotations__}
    summary = columns["mean"], columns["error"], columns["pairs"]
    each = ALPHA / max(len(pairs), 1)
    columns["low"], columns["high"] = interval(*summary, ALPHA)
    columns["p"] = p_value(*summary)
    columns["p_holm"] = holm(columns["p"])
    columns["simultaneous_low"], columns["simultaneous_high"] = interval(*summary, each)
    columns["detectable"] = detectable(*summary[1:], each)
    return pd.DataFrame(columns, index=pd.Index(list(pairs), tupleize_cols=False))
