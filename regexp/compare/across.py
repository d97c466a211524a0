"""Techniques compared across datasets: one score a dataset and technique, averaged over seeds.

Everything here takes a table of scores, [datasets, techniques], and asks whether a technique is
better on datasets like these, so its sample size is the number of datasets. The answers rest on
ranks, since scores of different datasets have no common unit. Ranks are those of unrounded scores:
only what float32 cannot tell apart is a tie.

References:
    Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006,
    https://jmlr.org/papers/v7/demsar06a.html; Benavoli et al., "Should we really use post-hoc
    tests based on mean-ranks?", JMLR 17, 2016 (why techniques are held against the baseline by
    Wilcoxon's test); Agarwal et al., "Deep reinforcement learning at the edge of the statistical
    precipice", NeurIPS 2021 (interquartile mean, stratified bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from regexp.compare.statistics import ALPHA, ROUNDING, Floats, finite_sizes, holm

if TYPE_CHECKING:
    import pandas as pd

ENUMERATED = 13
"""Differences of which all patterns of signs are gone through; more would take seconds."""


def complete(scores: pd.DataFrame) -> pd.DataFrame:
    """Only the techniques with a score on every dataset; the tests need them all.

    Args:
        scores: [datasets, techniques], NaN where there is none.
    """
    return scores.dropna(axis="columns")


def ranks(scores: pd.DataFrame, *, lower_is_better: bool = False) -> pd.DataFrame:
    """Ranks within each dataset, 1 for the best, the mean rank for ties.

    Args:
        scores: [datasets, techniques], none missing; infinite ones are the worst or best.

    Raises:
        ValueError: a score is missing.
    """
    import pandas as pd
    from scipy.stats import rankdata

    _check(scores)
    signed = scores.to_numpy(dtype=float) * (1 if lower_is_better else -1)
    tied = [_levels(row, _grain(row[None])) for row in signed]
    ranked = [rankdata(row) for row in tied]
    return pd.DataFrame(
        np.reshape(ranked, scores.shape), index=scores.index, columns=scores.columns
    )


@dataclass(frozen=True)
class Friedman:
    """Friedman's test that all techniques rank alike.

    Attributes:
        datasets, techniques: their numbers.
        statistic: chi-squared with techniques - 1 degrees of freedom, corrected for ties, which
            textbooks' plain formula is not.
        p: from that distribution, an approximation that is too careful with few datasets.
    """

    datasets: int
    techniques: int
    statistic: float
    p: float


def friedman(ranked: pd.DataFrame) -> Friedman:
    """Test whether any two techniques differ; NaN for less than 3 techniques or 2 datasets."""
    from scipy.stats import friedmanchisquare

    datasets, techniques = ranked.shape
    if techniques < 3 or datasets < 2:
        return Friedman(datasets, techniques, math.nan, math.nan)
    if (np.ptp(ranked.to_numpy(), axis=1) == 0).all():  # scipy divides zero by zero
        return Friedman(datasets, techniques, 0.0, 1.0)
    result = friedmanchisquare(*ranked.to_numpy().T)
    return Friedman(datasets, techniques, float(result.statistic), float(result.pvalue))


def wilcoxon(scores: pd.DataFrame, baseline: str, *, lower_is_better: bool = False) -> pd.DataFrame:
    """Hold every technique against the baseline by Wilcoxon's signed-rank test.

    Datasets without a difference (zeros) are ranked and then dropped (Pratt 1959). The p-values
    are two-sided: `exact` from the tabled distribution; with ties or zeros `exact, enumerated`
    over all patterns of signs, or `asymptotic` (normal, corrected for ties) beyond 13 datasets.

    Args:
        scores: [datasets, techniques], the baseline among them, none missing.
        baseline: a column.
        lower_is_better: True for errors and losses.

    Returns:
        One row a technique other than the baseline: `datasets`, `wins`, `ties`, `losses`,
        `statistic` (the smaller of the two sums of ranks), `p`, `p_holm`, `method`.

    Raises:
        ValueError: a score is missing.
    """
    import pandas as pd

    _check(scores)
    sign = -1.0 if lower_is_better else 1.0
    others = [name for name in scores.columns if name != baseline]
    rows = []
    for name in others:
        both = scores[[name, baseline]].to_numpy(dtype=float) * sign
        with np.errstate(invalid="ignore"):  # equal infinities
            difference = np.where(both[:, 0] == both[:, 1], 0.0, both[:, 0] - both[:, 1])
        grain = _grain(both)
        difference[np.abs(difference) <= grain] = 0
        statistic, p, method = _signed_rank(difference, grain)
        rows.append(
            {
                "datasets": len(difference),
                "wins": int((difference > 0).sum()),
                "ties": int((difference == 0).sum()),
                "losses": int((difference < 0).sum()),
                "statistic": statistic,
                "p": p,
                "method": method,
            }
        )
    columns = ["datasets", "wins", "ties", "losses", "statistic", "p", "method"]
    result = pd.DataFrame(rows, columns=columns, index=pd.Index(others))
    result.insert(6, "p_holm", holm(result["p"].to_numpy(dtype=float)))
    return result


def _signed_rank(difference: Floats, grain: Floats) -> tuple[float, float, str]:
    """(statistic, two-sided p, method) of differences of which those without one are 0."""
    from scipy import stats

    if not difference.any():
        return 0.0, 1.0, "no difference"
    levels = _levels(np.abs(difference), grain)
    signed = np.sign(difference) * levels
    method: Any
    if len(np.unique(levels)) == len(levels) and difference.all() and len(levels) <= 50:
        name, method = "exact", "exact"
    elif len(levels) <= ENUMERATED:
        name, method = "exact, enumerated", stats.PermutationMethod(n_resamples=np.inf)
    else:
        name, method = "asymptotic", "asymptotic"
    result = stats.wilcoxon(signed, zero_method="pratt", correction=False, method=method)
    return float(result.statistic), min(float(result.pvalue), 1.0), name


def critical_rank_difference(techniques: int, datasets: int) -> float:
    """The difference of two average ranks that Nemenyi's test calls significant at 5%.

    q sqrt(k (k + 1) / (6 N)), with q the studentized range's quantile over sqrt(2).

    Args:
        techniques: k, 2 or more.
        datasets: N.
    """
    from scipy.stats import studentized_range

    quantile = float(studentized_range.ppf(1 - ALPHA, techniques, np.inf)) / math.sqrt(2)
    return quantile * math.sqrt(techniques * (techniques + 1) / (6 * datasets))


def notes(techniques: int, datasets: int, alpha: float = ALPHA) -> list[str]:
    """What these numbers of techniques (with the baseline) and datasets cannot show, for people.

    Args:
        alpha: the level that p-values are held to; below 5% while a sweep is looked at.
    """
    sentences: list[str] = []
    if techniques < 2 or datasets < 1:
        return sentences
    critical, most = critical_rank_difference(techniques, datasets), techniques - 1
    if critical >= most:
        sentences.append(
            f"Nemenyi's critical difference is {critical:.1f} ranks, and average ranks of "
            f"{techniques} techniques lie at most {most} apart: on {datasets} dataset(s) it can "
            "tell no two of them apart."
        )
    elif critical > most / 2:
        sentences.append(
            f"Nemenyi's critical difference is {critical:.1f} ranks of the {most} that are "
            "possible: it can tell only extremes apart."
        )
    if (least := 2.0 ** (1 - datasets)) >= alpha:
        sentences.append(
            f"{datasets} datasets have so few patterns of signs that no p below {least:.2g} is "
            f"possible, whatever the scores; {math.floor(2 - math.log2(alpha))} have one below "
            f"{alpha:.2g}, the level here, whatever the number of techniques."
        )
    return sentences


def interquartile_mean(values: ArrayLike, axis: int = -1) -> Any:
    """The mean of the middle half: of the scores or differences of all datasets and seeds.

    A quarter at either end, rounded down to whole values, is left out.

    Args:
        values: [..., values].
    """
    from scipy.stats import trim_mean

    return trim_mean(np.asarray(values, dtype=float), 0.25, axis=axis)


def bootstrap_interval(
    samples: Sequence[ArrayLike], rng: np.random.Generator, *, resamples: int = 9999
) -> tuple[float, float]:
    """95% percentile interval of the interquartile mean, by the stratified bootstrap.

    Seeds are drawn with replacement within each dataset, so the interval is about other seeds on
    these datasets. It is too narrow where there are few seeds, or splits overlap: a picture of the
    spread, no test.

    Args:
        samples: for each dataset its values by seed (scores, or differences to the baseline at
            equal seeds), in a unit that the datasets share; two or more, all finite.
        rng: where the draws come from: equal generators, equal intervals.
        resamples: number of bootstrap samples.

    Returns:
        (low, high); NaN where a dataset has less than two values or one that is not finite.
    """
    from scipy.stats import bootstrap

    strata = [np.asarray(sample, dtype=float) for sample in samples]
    if not strata or any(len(s) < 2 or not np.isfinite(s).all() for s in strata):
        return math.nan, math.nan

    def middle(*drawn: Floats, axis: int = -1) -> Any:
        return interquartile_mean(np.concatenate(drawn, axis=axis), axis=axis)

    result = bootstrap(
        strata, middle, method="percentile", n_resamples=resamples, batch=1000, rng=rng
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _levels(values: Floats, grain: Floats) -> Floats:
    """Whole numbers in the order of the values, equal where these differ by rounding alone.

    Args:
        values: [values], infinite ones may be among them.
        grain: what rounding may make of each, [values] or [1].
    """
    order = np.argsort(values, kind="stable")
    ordered, grains = values[order], np.broadcast_to(grain, values.shape)[order]
    with np.errstate(invalid="ignore"):
        close = np.diff(ordered) <= np.minimum(grains[1:], grains[:-1])
    same = close | (ordered[1:] == ordered[:-1])
    levels = np.empty(len(values))
    levels[order] = np.concatenate([[1], 1 + np.cumsum(~same)])
    return levels


def _grain(scores: Floats) -> Floats:
    """What rounding may make of the differences of a dataset's scores, [datasets]."""
    grain: Floats = ROUNDING * finite_sizes(scores).max(axis=1)
    return grain


def _check(scores: pd.DataFrame) -> None:
    """Every score is there."""
    if scores.isna().any(axis=None):
        lost = ", ".join(map(str, scores.columns[scores.isna().any()]))
        raise ValueError(f"no score on some dataset: {lost}; leave them out with `complete`")
