"""What the numbers of a comparison allow one to say, in a plain sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from regexp.compare.baseline import NONE, Baseline
from regexp.compare.formats import digits_of, interval_text, relation, rounded, upwards
from regexp.compare.metric import Metric
from regexp.compare.statistics import ALPHA, POWER, least_pairs
from regexp.errors import count

if TYPE_CHECKING:
    import pandas as pd

LEAST = 3
"""Pairs below which there is no verdict: two differences hardly tell their spread."""

OutcomeWord = Literal["helps", "hurts", "no evidence", "no verdict"]


def outcome(row: pd.Series, *, lower_is_better: bool) -> OutcomeWord:
    """The verdict in a word.

    Args:
        row: of `statistics.compare_family`.
        lower_is_better: True for errors and losses.

    Returns:
        `helps` or `hurts` only where Holm's corrected p is below 5%; `no verdict` where there is
        no p-value, or there are less than 3 pairs; else `no evidence`.
    """
    if row["pairs"] < LEAST or math.isnan(row["p_holm"]):
        return "no verdict"
    if row["p_holm"] >= ALPHA:
        return "no evidence"
    return "helps" if (row["mean"] < 0) == lower_is_better else "hurts"


def sentence(row: pd.Series, metric: Metric, *, one_split: bool) -> str:
    """The verdict in a sentence that is never stronger than the numbers.

    Numbers are rounded against the claim: intervals outwards, the detectable difference up.

    Args:
        row: of `statistics.compare_family`.
        one_split: whether all runs share one split of the data.
    """
    n, lost = int(row["pairs"]), int(row["missing"])
    verdict = outcome(row, lower_is_better=metric.lower_is_better)
    if verdict == "no verdict":
        text = f"no verdict{_why_none(row, metric)}"
    elif verdict == "no evidence":
        text = f"no evidence either way at n = {n}{_seen(row, metric)}"
    else:
        text = f"{verdict}{' on this split' if one_split else ''}: {_difference(row, metric)}"
    if lost and n:
        text += f"; left out: {count(lost, 'seed')} without a score of both"
    return text


def verdicts(compared: pd.DataFrame, metric: Metric, *, one_split: bool) -> pd.DataFrame:
    """The verdict on every technique of a family.

    Args:
        compared: from `statistics.compare_family`.
        one_split: whether all runs share one split of the data.

    Returns:
        `outcome` (a word) and `verdict` (a sentence), one row a technique as in `compared`.
    """
    import pandas as pd

    judged = [
        (
            outcome(row, lower_is_better=metric.lower_is_better),
            sentence(row, metric, one_split=one_split),
        )
        for _, row in compared.iterrows()
    ]
    return pd.DataFrame(judged, columns=["outcome", "verdict"], index=compared.index)


def notes(
    compared: pd.DataFrame,
    overlap: float | None,
    *,
    families: int = 1,
    against: Baseline = NONE,
) -> list[str]:
    """What a reader must know of all verdicts of a family, in sentences.

    Args:
        compared: from `statistics.compare_family`.
        overlap: n_test / n_train, None where all runs share one split; as it took it.
        families: number of datasets and settings that the sweep has.
        against: the baseline.
    """
    comparisons = count(len(compared), "comparison")
    if overlap is None:
        sentences = [
            "All runs share one split of the data. Intervals and p-values (paired t-test) are "
            "about other seeds on this split, not about other rows: a technique that helps here "
            "may have been lucky with the test rows."
        ]
    else:
        sentences = [
            "Every seed splits the data anew, and these splits overlap. Intervals and p-values "
            "are those of the corrected resampled t-test (Nadeau and Bengio 2003, n_test/n_train "
            f"= {overlap:.2f}). However many the seeds, the standard error stays above "
            f"{math.sqrt(overlap):.2f} standard deviations of the difference."
        ]
    family = "" if families == 1 else f" of each of the {families} datasets and settings"
    sentences.append(
        f"Every {against.kind} is compared with {against} at equal seeds. p-values are corrected "
        f"after Holm for {comparisons}{family}, so that the probability "
        f"of any false claim {'' if families == 1 else 'in each '}is at most {ALPHA:.0%}. The "
        "difference that would have been seen is the one that is found with a probability of "
        f"{POWER:.0%} in a sweep like this one."
    )
    tested = compared.loc[compared["pairs"] >= LEAST, "pairs"]
    if len(tested) and (fewest := int(tested.min())) < (needed := least_pairs(len(compared))):
        sentences.append(
            f"{fewest} seeds are few for {comparisons}: below "
            f"{needed} no test that is free of assumptions can give a corrected p below "
            f"{ALPHA:.2f}, so the verdicts rest on the differences being normally distributed."
        )
    return sentences


def _why_none(row: pd.Series, metric: Metric) -> str:
    n, infinite = int(row["pairs"]), int(row["infinite"])
    if n == 0:
        return ": no seed has a score of both"
    if infinite:
        return f" at n = {n}: the difference is infinite at {count(infinite, 'seed')}"
    if n < LEAST:
        return f" at n = {n}: it takes {LEAST} seeds or more"
    if row["sd"] == 0:
        size = _size(row["mean"], digits_of(row["mean"], metric.unit), metric)
        return f" at n = {n}: {size} at every seed, which tells no spread"
    return f" at n = {n}: the scores are too large to be compared"


def _seen(row: pd.Series, metric: Metric) -> str:
    if row["sd"] == 0:
        return ": the same score at every seed"
    if row["detectable"] > metric.unit.most:
        return "; no difference could have been seen"
    size = f"{upwards(row['detectable'], metric.unit)} {metric.unit.name}".rstrip()
    return f"; a difference of {size} would have been seen (power {POWER:.0%})"


def _difference(row: pd.Series, metric: Metric) -> str:
    """`0.42 points higher (95% interval 0.15 to 0.69, corrected p = 0.012, n = 10)`."""
    low, high = sorted(abs(end) for end in (row["low"], row["high"]))  # on one side of zero
    ends, digits = interval_text(low, high, digits_of((high - low) / 2, metric.unit), metric.unit)
    return (
        f"{_size(row['mean'], digits, metric)} (95% interval {ends}, corrected p "
        f"{relation(row['p_holm'])}, n = {int(row['pairs'])})"
    )


def _size(difference: float, digits: int, metric: Metric) -> str:
    """`0.42 points higher`."""
    size = f"{rounded(abs(difference), digits, unit=metric.unit)} {metric.unit.name}".rstrip()
    return f"{size} {'higher' if difference > 0 else 'lower'}"
