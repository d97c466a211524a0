"""What the numbers of a comparison allow one to say, in a plain sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING, Literal

from regexp.compare.statistics import ALPHA, POWER, least_pairs

if TYPE_CHECKING:
    import pandas as pd

LEAST = 3
"""Pairs below which there is no verdict: two differences hardly tell their spread."""

Outcome = Literal["helps", "hurts", "no evidence", "no verdict"]


@dataclass(frozen=True)
class Unit:
    """How differences of a metric are written.

    Args:
        factor: from the metric to the unit.
        name: stands after the number.
        most: no difference is larger, in the metric's own numbers.
    """

    factor: float = 1.0
    name: str = ""
    most: float = math.inf


def unit_of(metric: str) -> Unit:
    """Points (hundredths) for accuracies; all else as it is.

    Args:
        metric: as recorded, such as `test/accuracy`.
    """
    if metric.rpartition("/")[2].endswith("accuracy"):
        return Unit(100, "points", 1.0)
    return Unit()


def outcome(row: pd.Series, *, lower_is_better: bool) -> Outcome:
    """The verdict in a word.

    Args:
        row: of `statistics.compare`.
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


def sentence(row: pd.Series, metric: str, *, lower_is_better: bool, one_split: bool) -> str:
    """The verdict in a sentence that is never stronger than the numbers.

    Numbers are rounded against the claim: intervals outwards, the detectable difference up.

    Args:
        row: of `statistics.compare`.
        metric: as recorded, such as `test/accuracy`.
        lower_is_better: True for errors and losses.
        one_split: whether all runs share one split of the data.
    """
    unit = unit_of(metric)
    n, lost = int(row["pairs"]), int(row["missing"])
    verdict = outcome(row, lower_is_better=lower_is_better)
    if verdict == "no verdict":
        said = f"no verdict{_why_none(row, unit)}"
    elif verdict == "no evidence":
        said = f"no evidence either way at n = {n}{_seen(row, unit)}"
    else:
        said = f"{verdict}{' on this split' if one_split else ''}: {_difference(row, unit)}"
    if lost and n:
        said += f"; left out: {_seeds(lost)} without a score of both"
    return said


def verdicts(compared: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The verdict on every technique of a family.

    Args:
        compared: from `statistics.compare`.
        metric: as recorded, such as `test/accuracy`.

    Returns:
        `outcome` (a word) and `verdict` (a sentence), one row a technique as in `compared`.
    """
    import pandas as pd

    lower, one_split = compared.attrs["lower_is_better"], compared.attrs["overlap"] is None
    said = [
        (
            outcome(row, lower_is_better=lower),
            sentence(row, metric, lower_is_better=lower, one_split=one_split),
        )
        for _, row in compared.iterrows()
    ]
    return pd.DataFrame(said, columns=["outcome", "verdict"], index=compared.index)


def notes(compared: pd.DataFrame, *, families: int = 1, baseline: str = "none") -> list[str]:
    """What a reader must know of all verdicts of a family, in sentences.

    Args:
        compared: from `statistics.compare`.
        families: number of datasets and settings that the sweep has.
        baseline: its name.
    """
    count, overlap = len(compared), compared.attrs["overlap"]
    if overlap is None:
        said = [
            "All runs share one split of the data. Intervals and p-values (paired t-test) are "
            "about other seeds on this split, not about other rows: a technique that helps here "
            "may have been lucky with the test rows."
        ]
    else:
        said = [
            "Every seed splits the data anew, and these splits overlap. Intervals and p-values "
            "are those of the corrected resampled t-test (Nadeau and Bengio 2003, n_test/n_train "
            f"= {overlap:.2f}). However many the seeds, the standard error stays above "
            f"{math.sqrt(overlap):.2f} standard deviations of the difference."
        ]
    family = "" if families == 1 else f" of each of the {families} datasets and settings"
    said.append(
        f"Every technique is compared with {baseline} at equal seeds. p-values are corrected after "
        f"Holm for {count} comparison{'' if count == 1 else 's'}{family}, so that the probability "
        f"of any false claim {'' if families == 1 else 'in each '}is at most {ALPHA:.0%}. The "
        "difference that would have been seen is the one that is found with a probability of "
        f"{POWER:.0%} in a sweep like this one."
    )
    tested = compared.loc[compared["pairs"] >= LEAST, "pairs"]
    if len(tested) and (fewest := int(tested.min())) < (needed := least_pairs(count)):
        said.append(
            f"{fewest} seeds are few for {count} comparison{'' if count == 1 else 's'}: below "
            f"{needed} no test that is free of assumptions can give a corrected p below "
            f"{ALPHA:.2f}, so the verdicts rest on the differences being normally distributed."
        )
    return said


def _why_none(row: pd.Series, unit: Unit) -> str:
    n, infinite = int(row["pairs"]), int(row["infinite"])
    if n == 0:
        return ": no seed has a score of both"
    if infinite:
        return f" at n = {n}: the difference is infinite at {_seeds(infinite)}"
    if n < LEAST:
        return f" at n = {n}: it takes {LEAST} seeds or more"
    if row["sd"] == 0:
        size = written(row["mean"], unit, digits_of(row["mean"], unit), ROUND_HALF_EVEN)
        direction = "higher" if row["mean"] > 0 else "lower"
        return f" at n = {n}: {size} {direction} at every seed, which tells no spread"
    return f" at n = {n}: the scores are too large to be compared"


def _seen(row: pd.Series, unit: Unit) -> str:
    if row["sd"] == 0:
        return ": the same score at every seed"
    smallest = float(row["detectable"])
    if smallest > unit.most:
        return "; no difference could have been seen"
    size = written(smallest, unit, digits_of(smallest, unit), ROUND_CEILING)
    return f"; a difference of {size} would have been seen (power {POWER:.0%})"


def _difference(row: pd.Series, unit: Unit) -> str:
    """`0.42 points higher (95% interval 0.15 to 0.69, corrected p = 0.012, n = 10)`."""
    low, high = sorted(abs(end) for end in (row["low"], row["high"]))  # on one side of zero
    digits = digits_of((high - low) / 2, unit)
    bare = Unit(unit.factor)
    while digits < 12 and float(written(low, bare, digits, ROUND_FLOOR)) == 0:
        digits += 1  # an interval that leaves out zero is not to be read as one that does not
    size = written(row["mean"], unit, digits, ROUND_HALF_EVEN)
    return (
        f"{size} {'higher' if row['mean'] > 0 else 'lower'} (95% interval "
        f"{written(low, bare, digits, ROUND_FLOOR)} to "
        f"{written(high, bare, digits, ROUND_CEILING)}, corrected p "
        f"{probability(row['p_holm'])}, n = {int(row['pairs'])})"
    )


def probability(p: float) -> str:
    """`= 0.012` or `< 0.001`, with digits enough to tell it from 5%."""
    if p < 0.001:
        return "< 0.001"
    digits: Sequence[str] = [f"{p:.{count}g}" for count in range(2, 17)]
    return "= " + next(text for text in digits if (float(text) < ALPHA) == (p < ALPHA))


def digits_of(value: float, unit: Unit) -> int:
    """Digits after the point with which a number shows two that count.

    Args:
        value: in the metric's own numbers.
        unit: in which it is written.
    """
    size = abs(value) * unit.factor
    return max(0, 1 - math.floor(math.log10(size))) if size > 0 else 0


def written(value: float, unit: Unit, digits: int, rounding: str) -> str:
    """The size of a number in its unit, without its sign.

    Args:
        value: in the metric's own numbers.
        unit: in which it is written.
        digits: after the point.
        rounding: of `decimal`.
    """
    size = abs(float(value)) * unit.factor
    if size < 1e15:
        step = Decimal(1).scaleb(-digits)
        text = format(Decimal(str(size)).quantize(step, rounding), "g")
    else:
        text = f"{size:.3g}"
    return f"{text} {unit.name}".rstrip()


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"
