"""What an estimate says of one question: tests, intervals and probabilities of a family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from regexp.compare.multiple import copula
from regexp.compare.statistics import ALPHA, POWER, Floats, detectable_errors, holm

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Effects:
    """Mean differences and how much they vary; each [techniques], NaN where nothing is known.

    Attributes:
        mean: over seeds, more is better.
        pairs: seeds n.
        variance: of one seed: divided by n it is that of the mean, but for what stays.
        freedom: degrees of freedom of the variance.
        member: of the family, which techniques that did nothing and controls are not.
        correlation: of the means, [techniques, techniques].
    """

    mean: Floats
    pairs: NDArray[np.int64]
    variance: Floats
    freedom: Floats
    member: Flags
    correlation: Floats


@dataclass(frozen=True)
class Scope:
    """The answers to one question; each [techniques], NaN where there is none.

    Probabilities are those of a t distribution around the mean difference: how sure one may be
    without having believed anything before. They are of each technique looked at alone.

    Attributes:
        variance: of one seed.
        stays: variance of the mean that more seeds do not take away.
        error: standard error of the mean, sqrt(variance / n + stays).
        freedom: degrees of freedom of the error.
        p, adjusted: two-sided p-value of each alone, and corrected for the family; NaN of one that
            did nothing, and the latter of one that is no member.
        low, high: the 95% interval.
        simultaneous_low, simultaneous_high: intervals that all hold at once but for `alpha`, after
            Bonferroni.
        helps: probability of a gain above 0.
        matters: probability of a gain of at least the least that matters.
        equal: probability of a difference smaller than that.
        best: probability of the largest mean of all, the baseline's 0 included.
        detectable: the difference that is found with a probability of 80%.
        seeds: how many would decide with a probability of 80%, were the difference the one seen;
            infinite where no number would.
    """

    variance: Floats
    stays: Floats
    error: Floats
    freedom: Floats
    p: Floats
    adjusted: Floats
    low: Floats
    high: Floats
    simultaneous_low: Floats
    simultaneous_high: Floats
    helps: Floats
    matters: Floats
    equal: Floats
    best: Floats
    detectable: Floats
    seeds: Floats


@dataclass(frozen=True)
class Estimate:
    """What is known of a family's techniques; arrays are [techniques].

    Attributes:
        mean: difference to the baseline, mean over seeds, more is better.
        pairs: seeds that it rests on.
        changed: whether the technique changed any score beyond rounding.
        table: for other splits of this table and other weights; of the one split, where all seeds
            share it.
        rows: for other rows of the same kind; all NaN where nothing is known of them.
        correlation: of the techniques' differences, [techniques, techniques].
        shared: degrees of freedom d_0 that the techniques' variances have from each other.
        repeats: share alpha of a row's variance that comes back at other seeds; NaN without scores
            by row, as what follows.
        theta: an upper value of what seeds vary beside their rows, relative to these.
        rho: correlation of two seeds' mean differences over data, as it is taken.
    """

    mean: Floats
    pairs: NDArray[np.int64]
    changed: Flags
    table: Scope
    rows: Scope
    correlation: Floats
    shared: float
    repeats: float
    theta: float
    rho: float


def both_scopes(
    effects: Effects,
    stays: Floats,
    adjust: Callable[[Floats, Floats], Floats],
    *,
    alpha: float,
    matters: float,
) -> tuple[Scope, Scope]:
    """The answers to both questions: on this table, after Holm, and on other rows.

    Nobody is said to be surer of other rows than of this table, where nothing stays.

    Args:
        effects, stays, alpha, matters: as in `scope_of`, of other rows.
        adjust: corrects the p-values on other rows, see `scope_of`.
    """
    table = scope_of(
        effects, np.zeros_like(stays), lambda p, _: holm(p), alpha=alpha, matters=matters
    )
    rows = scope_of(effects, stays, adjust, alpha=alpha, matters=matters)
    return table, replace(rows, adjusted=np.maximum(rows.adjusted, table.adjusted))


def scope_of(
    effects: Effects,
    stays: Floats,
    adjust: Callable[[Floats, Floats], Floats],
    *,
    alpha: float,
    matters: float,
) -> Scope:
    """Test and describe effects.

    Args:
        effects: of a family.
        stays: variance of the mean that more seeds do not take away, [techniques].
        adjust: p-values of a family and the correlation of its members -> corrected p-values.
        alpha: probability of a false claim in the family.
        matters: the least gain that matters.
    """
    from scipy.special import stdtr, stdtrit

    mean, n, member = effects.mean, effects.pairs, effects.member
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(effects.variance / n + stays)
    known = np.isfinite(mean) & np.isfinite(error) & (error > 0) & (n > 1)
    error, freedom = np.where(known, error, np.nan), np.where(known, effects.freedom, np.nan)
    safe = np.where(known, error, 1.0), np.where(known, freedom, 1.0)

    def below(bound: float) -> Floats:
        """Probability of a gain below a bound."""
        return np.where(known, stdtr(safe[1], (bound - mean) / safe[0]), np.nan)

    def reach(level: float) -> Floats:
        return -stdtrit(safe[1], level / 2) * error

    p = np.where(known, 2 * stdtr(safe[1], -np.abs(mean) / safe[0]), np.nan)
    adjusted = np.full(len(mean), np.nan)
    adjusted[member] = adjust(p[member], effects.correlation[np.ix_(member, member)])
    each = max(alpha, _LEAST) / max(int(member.sum()), 1)
    seeds = seeds_needed(mean, effects.variance, stays, each)
    alone, together = reach(ALPHA), reach(each)
    return Scope(
        variance=effects.variance,
        stays=stays,
        error=error,
        freedom=freedom,
        p=p,
        adjusted=adjusted,
        low=mean - alone,
        high=mean + alone,
        simultaneous_low=mean - together,
        simultaneous_high=mean + together,
        helps=1 - below(0.0),
        matters=1 - below(matters),
        equal=below(matters) - below(-matters),
        best=_best(mean, error, freedom, effects.correlation, known & member),
        detectable=detectable_errors(freedom, each) * error,
        seeds=np.where(known, seeds, np.nan),
    )


def seeds_needed(mean: Floats, variance: Floats, stays: Floats, level: float) -> Floats:
    """How many seeds would decide with a probability of `POWER`, see `Scope.seeds`.

    Args:
        mean: differences that were seen, as if they and their variances were known, [techniques].
        variance, stays: of them, see `Effects` and `Scope`, [techniques].
        level: two-sided, of one technique.
    """
    from scipy.special import ndtri

    wanted = (mean / (ndtri(1 - level / 2) + ndtri(POWER))) ** 2 - stays
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(wanted > 0, np.ceil(variance / wanted), np.inf)


def _best(
    mean: Floats, error: Floats, freedom: Floats, correlation: Floats, known: Flags
) -> Floats:
    """See `Scope.best`, by drawing."""
    found = np.full(len(mean), np.nan)
    if not known.any():
        return found
    drawn = copula(correlation[np.ix_(known, known)], _DRAWS)
    least = float(freedom[known].min())  # the techniques' variances are mostly one
    spread = np.sqrt(np.random.default_rng(1).chisquare(least, (len(drawn), 1)) / least)
    gains = mean[known] + error[known] * drawn / spread
    won = np.where(gains.max(1) > 0, gains.argmax(1), -1)
    found[known] = np.bincount(won[won >= 0], minlength=int(known.sum())) / len(drawn)
    return found


_LEAST = 1e-9
"""The least level that critical values are told for: of none at all they would be infinite."""

_DRAWS = 5_000
"""Of who is best: a probability of .9 has an error of .004 by them."""
