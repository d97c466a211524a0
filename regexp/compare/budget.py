"""Expected validation performance: how good the best of n configurations is, for every n.

Of N configurations that were tried, in ascending order of their scores v_(1) ... v_(N), the best of
n that are drawn without replacement has the expectation

    sum over i of C(i-1, n-1) / C(N, n) * v_(i)

which is unbiased for the best of n new ones where all are drawn independently (Tang et al. 2020).
Those of `tuning.draw` are spread more evenly, after the YAML's own numbers: of them it is the mean
over all sets of n. The estimator of Dodge et al. 2019 draws with replacement: it is biased low, for
it meets the same configuration twice.

Reference:
    Tang, Lee, Xin, Liu, Yu, Lin, "Showing Your Work Doesn't Always Work", ACL 2020, equation 8,
    https://arxiv.org/abs/2004.13705.
    Dodge, Gururangan, Card, Schwartz, Smith, "Show Your Work", EMNLP 2019,
    https://arxiv.org/abs/1909.03004.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regexp.compare.baseline import FAMILY
from regexp.compare.table import FINISHED
from regexp.metrics.names import column

if TYPE_CHECKING:
    import pandas as pd

BAND = (0.1, 0.9)
"""Quantiles between which the best of n lies."""

COLUMNS = ["dataset", "setting", "label", "budget", "value", "low", "high"]


def best_of(
    values: "np.ndarray[Any, np.dtype[np.float64]]",
) -> Iterator[tuple[float, float, float]]:
    """The best of n of these values, for n = 1 ... N: (expectation, low, high).

    Args:
        values: scores, of which the largest is the best.

    Yields:
        The expectation over all sets of n, and the quantiles `BAND` of the same distribution,
        P(best <= v_(i)) = C(i, n) / C(N, n), or the expectation where that lies outside. At n = N
        there is one set, and the band closes: it says nothing of what others would give.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    size = len(ordered)
    for n in range(1, size + 1):
        # From the largest down: the weight of v_(i-1) is that of v_(i) times (i - n) / (i - 1).
        place = np.arange(size, n, -1, dtype=np.float64)
        weights = np.zeros(size)
        weights[n - 1 :] = np.cumprod(np.r_[n / size, (place - n) / (place - 1)])[::-1]
        below = np.cumsum(weights)
        low, high = (ordered[min(_first(below, share), size - 1)] for share in BAND)
        used = weights > 0  # an infinity that cannot be the best counts for nothing
        value = float(weights[used] @ ordered[used])
        yield value, min(float(low), value), max(float(high), value)


def _first(below: "np.ndarray[Any, np.dtype[np.float64]]", share: float) -> int:
    """The first position at which a sum reaches a share, but for rounding."""
    return int(np.searchsorted(below, share - 1e-12))


def expected_validation(
    trials: "pd.DataFrame", metric: str, lower_is_better: bool
) -> "pd.DataFrame":
    """Expected best validation score against the number of configurations tried.

    The scores of a configuration are averaged over its seeds first. One that diverged with any seed
    counts as the worst score that any trial of the dataset and setting has; trials that were
    broken off are left out. Where a technique's ranges hold fewer configurations than another
    technique tried, all of them were tried, and its line goes on level.

    Args:
        trials: from `Tracker.runs`, those of stage `tuning`.
        metric: of validation data, such as `final/val_accuracy`.
        lower_is_better: True for errors and losses.

    Returns:
        One row for each dataset, setting, technique (`label`) and `budget` from 1 on: `value`, and
        the ends `low` and `high` of a band in which the best of so many configurations lies with a
        probability of `BAND[1] - BAND[0]` or more.
    """
    import pandas as pd

    name = column(metric)
    rows: list[tuple[object, ...]] = []
    ended = trials[trials["status"].isin([FINISHED, "FAILED"])]
    for (dataset, setting), family in ended.groupby(FAMILY, sort=False):
        scores = _scores(family, name, lower_is_better)
        most = max(map(len, scores.values()), default=0)
        for technique, values in scores.items():
            sign = -1 if lower_is_better else 1
            points = [
                (sign * value, *sorted((sign * low, sign * high)))
                for value, low, high in best_of(sign * values)
            ]
            points += points[-1:] * (most - len(points))
            rows += [
                (dataset, setting, technique, budget, *point)
                for budget, point in enumerate(points, start=1)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _scores(
    family: "pd.DataFrame", name: str, lower_is_better: bool
) -> "dict[str, np.ndarray[Any, np.dtype[np.float64]]]":
    """Technique -> the score of each of its configurations; no technique that diverged always."""
    if name not in family:
        return {}
    # A trial that failed and was started again counts once: finished, else as the latest.
    ordered = family.assign(_finished=family["status"] == FINISHED)
    ordered = ordered.sort_values(["_finished", "start_time"], kind="stable")
    once = ordered.drop_duplicates(["technique", "variant", "seed"], keep="last").sort_index()
    value = once[name].where(once["_finished"] & np.isfinite(once[name]))
    worst = float(value.max() if lower_is_better else value.min())
    scores = {}
    for technique, part in value.groupby(once["technique"], sort=False):
        # NaN of one seed makes the mean NaN: the configuration diverged
        means = part.groupby(once["variant"], sort=False).apply(
            lambda scores: scores.mean(skipna=False)
        )
        if means.notna().any():
            filled = means.fillna(worst).to_numpy(dtype=np.float64)
            scores[cast("str", technique)] = filled
    return scores
