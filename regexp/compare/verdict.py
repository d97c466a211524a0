"""What the numbers of a comparison allow one to say, in a plain sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from regexp.compare.family import ROWS
from regexp.compare.formats import (
    digits_of,
    interval_text,
    least_text,
    percent,
    relation,
    rounded,
    upwards,
)
from regexp.compare.metric import Metric
from regexp.compare.statistics import ALPHA, POWER
from regexp.errors import count

if TYPE_CHECKING:
    import pandas as pd

LEAST = 3
"""Pairs below which there is no verdict: two differences hardly tell their spread."""

LIKELY = 0.9
"""The probability of a gain or a loss from which on it is probable. Of techniques that change
nothing one in ten is said to help so, and one in ten to hurt."""

SURE = 0.95
"""The probability of a difference smaller than matters from which on techniques are equal."""

MOST_SEEDS = 1000
"""More seeds than these are not asked for."""

OutcomeWord = Literal[
    "helps",
    "hurts",
    "practically equal",
    "did nothing",
    "probably helps",
    "probably hurts",
    "no evidence",
    "no verdict",
    "noise floor",
]


@dataclass(frozen=True)
class Judge:
    """How verdicts are given and worded.

    Attributes:
        metric: that techniques are compared by.
        one_split: whether all runs share one split of the data.
        matters: the least gain that matters, in the metric's own numbers.
        alpha: the probability of a false claim in a family.
        same_test: whether all runs test the same rows and split the others by their seed.
    """

    metric: Metric
    one_split: bool = False
    matters: float = 0.0
    alpha: float = ALPHA
    same_test: bool = False

    @property
    def here(self) -> str:
        """What the first of the two answers is about."""
        if self.one_split:
            return "on this split"
        return "on these test rows" if self.same_test else "on this table"

    @property
    def there(self) -> str:
        """What the second one is about."""
        return "on other test rows" if self.one_split else "on other rows"


def outcome(row: pd.Series, judge: Judge, prefix: str = "") -> OutcomeWord:
    """The verdict in a word.

    Args:
        row: of `family.compare_family`.
        judge: how it is given.
        prefix: of the columns of the answer: `family.ROWS` for other rows.

    Returns:
        `helps` or `hurts` only where the corrected p is below the family's level; `no verdict`
        where there is no p-value, or there are less than 3 pairs; `noise floor` of a control;
        `did nothing` where no prediction changed, or the score of no row.
    """
    if row["control"]:
        return "noise floor"
    if not row["changed"] and row["pairs"]:
        # other networks may tie on an area under a curve: that they are equal is not shown
        return "did nothing" if row["tested"] or row["idle"] else "no verdict"
    corrected = row[f"{prefix}p_corrected"]
    if row["pairs"] < LEAST or math.isnan(corrected):
        return "no verdict"
    better = (row["mean"] < 0) == judge.metric.lower_is_better
    if corrected < judge.alpha:
        return "helps" if better else "hurts"
    if row[f"{prefix}p_equal"] >= SURE:
        return "practically equal"
    helps = row[f"{prefix}p_helps"]
    if helps >= LIKELY:
        return "probably helps"
    return "probably hurts" if helps <= 1 - LIKELY else "no evidence"


def sentence(row: pd.Series, judge: Judge) -> str:
    """The verdict in a sentence that is never stronger than the numbers.

    Numbers are rounded against the claim: intervals outwards, the detectable difference up,
    probabilities down.

    Args:
        row: of `family.compare_family`.
        judge: how it is given.
    """
    n, lost, metric = int(row["pairs"]), int(row["missing"]), judge.metric
    word = outcome(row, judge)
    match word:
        case "no verdict":
            text = f"no verdict{_why_none(row, metric)}"
        case "did nothing":
            text = f"did nothing: {_nothing(row)}"
        case "helps" | "hurts":
            text = f"{word} {judge.here}: {_difference(row, metric)}{_elsewhere(row, word, judge)}"
        case "practically equal":
            most = least_text(judge.matters, metric.unit)
            within = f"within ±{most} {metric.unit.name}".rstrip()
            text = f"practically equal {judge.here}: {within} ({percent(row['p_equal'])})"
            text += f"; {_signed(row, metric)}"
        case "probably helps" | "probably hurts":
            text = f"{word} ({percent(likely(row, word))}): {_signed(row, metric)}"
            text += f"; {deciding(row)}"
        case "noise floor":
            text = f"noise floor: {_signed(row, metric)}" if n > 1 else "noise floor"
        case _:
            text = f"no evidence either way at n = {n}{_seen(row, metric)}"
    if lost and n:
        text += f"; left out: {count(lost, 'seed')} without a score of both"
    return text


def likely(row: pd.Series, word: str, prefix: str = "") -> float:
    """The probability of what a word says, `probably helps` or `probably hurts`."""
    helps = float(row[f"{prefix}p_helps"])
    return helps if word.endswith("helps") else 1 - helps


def deciding(row: pd.Series, prefix: str = "") -> str:
    """`about 34 seeds would decide`."""
    seeds = float(row[f"{prefix}seeds_needed"])
    if math.isnan(seeds):
        return "the error of these runs is spent, and other seeds in a new sweep would decide"
    if math.isinf(seeds):
        return "seeds cannot decide this, more test rows can"
    if seeds > MOST_SEEDS:
        return f"more than {MOST_SEEDS:,} seeds would have to decide"
    if seeds <= row["pairs"]:
        return "a few more seeds would decide"
    digits = max(len(f"{seeds:.0f}") - 2, 0)
    up = math.ceil(seeds / 10**digits) * 10**digits
    return f"about {up} seeds would decide"


def verdicts(compared: pd.DataFrame, judge: Judge) -> pd.DataFrame:
    """The verdict on every technique of a family.

    Args:
        compared: from `family.compare_family`.
        judge: how it is given.

    Returns:
        `outcome` and `rows_outcome` (words) and `verdict` (a sentence), one row a technique as in
        `compared`.
    """
    import pandas as pd

    judged = [
        (outcome(row, judge), outcome(row, judge, ROWS), sentence(row, judge))
        for _, row in compared.iterrows()
    ]
    columns = ["outcome", f"{ROWS}outcome", "verdict"]
    return pd.DataFrame(judged, columns=columns, index=compared.index)


def _elsewhere(row: pd.Series, word: str, judge: Judge) -> str:
    """What is to be said of other rows, of a technique that helps or hurts on these."""
    if math.isnan(row[f"{ROWS}p"]):
        return ""
    other = outcome(row, judge, ROWS)
    if other == word:
        return (
            f"; {judge.there} as well (95% interval {_ends(row, judge.metric, ROWS)}, corrected p "
            f"{relation(row[f'{ROWS}p_corrected'])})"
        )
    if other.startswith("probably"):
        sure = percent(likely(row, other, ROWS))
        return f"; {judge.there} {other} ({sure}), {deciding(row, ROWS)}"
    either = " either way" if other == "no evidence" else ""
    return f"; {judge.there} {other}{either}, {deciding(row, ROWS)}"


def _nothing(row: pd.Series) -> str:
    tested = int(row["tested"])
    if row["idle"]:
        return f"none of {tested:,} predictions changed" if tested else "no prediction changed"
    return f"other predictions, but the same score of each of {tested:,}"


def _why_none(row: pd.Series, metric: Metric) -> str:
    n, infinite = int(row["pairs"]), int(row["infinite"])
    if n == 0:
        return ": no seed has a score of both"
    if infinite:
        return f" at n = {n}: the difference is infinite at {count(infinite, 'seed')}"
    if n < LEAST:
        return f" at n = {n}: it takes {LEAST} seeds or more"
    if not row["changed"]:
        return f" at n = {n}: the same score at every seed, which tells no spread"
    if row["sd"] == 0:
        size = _size(row["mean"], digits_of(row["mean"], metric.unit), metric)
        return f" at n = {n}: {size} at every seed, which tells no spread"
    return f" at n = {n}: the scores are too large to be compared"


def _seen(row: pd.Series, metric: Metric) -> str:
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
        f"{relation(row['p_corrected'])}, n = {int(row['pairs'])})"
    )


def _signed(row: pd.Series, metric: Metric) -> str:
    """`+0.42 points (95% interval −0.15 to +0.99, n = 10)`."""
    unit, half = metric.unit, (row["high"] - row["low"]) / 2
    if math.isnan(half):
        size = rounded(row["mean"], digits_of(row["mean"], unit), unit=unit, sign=True)
        return f"{size} {unit.name}".rstrip()
    ends, digits = interval_text(row["low"], row["high"], digits_of(half, unit), unit, sign=True)
    size = f"{rounded(row['mean'], digits, unit=unit, sign=True)} {unit.name}".rstrip()
    return f"{size} (95% interval {ends}, n = {int(row['pairs'])})"


def _ends(row: pd.Series, metric: Metric, prefix: str) -> str:
    low, high = sorted(abs(row[f"{prefix}{end}"]) for end in ("low", "high"))
    return interval_text(low, high, digits_of((high - low) / 2, metric.unit), metric.unit)[0]


def _size(difference: float, digits: int, metric: Metric) -> str:
    """`0.42 points higher`."""
    size = f"{rounded(abs(difference), digits, unit=metric.unit)} {metric.unit.name}".rstrip()
    return f"{size} {'higher' if difference > 0 else 'lower'}"
