"""All techniques of one dataset and setting against their baseline, in a frame."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from regexp.compare.by_row import ByRow
from regexp.compare.estimator import Design, estimate
from regexp.compare.multiple import benjamini_hochberg
from regexp.compare.scope import Flags, Scope
from regexp.compare.seed_means import estimate_of_means
from regexp.compare.statistics import ALPHA, ROUNDING, Floats, Paired, paired

if TYPE_CHECKING:
    import pandas as pd

ROWS = "rows_"
"""Before the columns of the answer for other rows."""

SCOPED = {
    "error": "error",
    "low": "low",
    "high": "high",
    "p": "p",
    "p_corrected": "adjusted",
    "simultaneous_low": "simultaneous_low",
    "simultaneous_high": "simultaneous_high",
    "p_helps": "helps",
    "p_matters": "matters",
    "p_equal": "equal",
    "p_best": "best",
    "detectable": "detectable",
    "seeds_needed": "seeds",
}
"""Columns of each of the two answers -> attributes of `scope.Scope`."""

_OF_SEEDS = ("pairs", "missing", "infinite", "mean", "sd", "improvement")

COMPARED = [
    *_OF_SEEDS,
    "changed",
    "tested",
    "idle",
    "seed_correlation",
    "control",
    *(prefix + name for prefix in ("", ROWS) for name in (*SCOPED, "p_listed")),
]


def compare_family(
    pairs: Mapping[Any, tuple[pd.Series, pd.Series]],
    *,
    overlap: float | None,
    lower_is_better: bool = False,
    by_row: ByRow | None = None,
    idle: Flags | None = None,
    design: Design | None = None,
    matters: float = 0.0,
    alpha: float = ALPHA,
    controls: Collection[Any] = (),
) -> pd.DataFrame:
    """Compare every technique of one dataset and setting with its baseline.

    Args:
        pairs: for each technique its scores and those of its baseline, by seed. NaN (or no such
            seed) where a run has none.
        overlap: n_test / n_train where every seed splits the data anew, see `overlap_of`; None
            where all runs share one split. Used without scores by row.
        lower_is_better: True for errors and losses.
        by_row: the differences by row, in the order of `pairs`; None where they are not known.
        idle: without `by_row`, whether techniques are known to change no prediction; None where
            nothing is known of that.
        design: how seeds split the rows, with `by_row`.
        matters: the least gain that matters.
        alpha: probability of a false claim in the family.
        controls: those of `pairs` that are no members of the family, such as an A/A arm.

    Returns:
        One row a technique, in their order. Differences are technique - baseline, whichever way is
        better; probabilities are of what is better.

        - `pairs`, `missing`, `infinite`, `mean`, `sd`, `improvement`: see `statistics.Paired`
        - `changed`: whether any score changed beyond rounding; `tested`: predictions behind them, 0
          where they are not known; `idle`: whether it is known that no prediction changed
        - of the answer on this table: `error`, `low`, `high`, `p`, `p_corrected` (the family's, see
          `scope.Scope.adjusted`), `simultaneous_low`, `simultaneous_high`, `p_helps`, `p_matters`,
          `p_equal`, `p_best`, `detectable`, `seeds_needed`; and `p_listed`, Benjamini and
          Hochberg's
        - the same of the answer on other rows after `rows_`

    Raises:
        ValueError: a seed that has two scores.
    """
    import pandas as pd

    members = np.array([name not in controls for name in pairs], dtype=bool)
    summed, aligned = _of_seeds(pairs, lower_is_better)
    levels: dict[str, Any] = {"alpha": alpha, "matters": matters, "members": members}
    sign = -1.0 if lower_is_better else 1.0
    if by_row is None:
        grain = np.array([ROUNDING * max(np.nanmax(np.abs(both), initial=0) for both in one)
                          for one in aligned])  # fmt: skip
        found = estimate_of_means(_differences(aligned, sign), overlap, rounding=grain, **levels)
        idle = np.zeros(len(pairs), dtype=bool) if idle is None else idle
        tested = np.zeros(len(pairs), dtype=np.int64)
    else:
        assert design is not None
        found = estimate(
            sign * by_row.differences,
            by_row.seed,
            by_row.row,
            design,
            changed=by_row.changed,
            **levels,
        )
        idle, tested = by_row.idle, by_row.tested
    columns: dict[str, Any] = {name: [getattr(one, name) for one in summed] for name in _OF_SEEDS}
    columns |= {"changed": found.changed, "tested": tested, "idle": idle}
    columns |= {"seed_correlation": found.rho, "control": ~members}
    for prefix, scope in (("", found.table), (ROWS, found.rows)):
        columns |= {
            prefix + name: each
            for name, each in _columns(scope, sign, members & found.changed).items()
        }
    return pd.DataFrame(columns, index=pd.Index(list(pairs), tupleize_cols=False))[COMPARED]


def _of_seeds(
    pairs: Mapping[Any, tuple[pd.Series, pd.Series]], lower_is_better: bool
) -> tuple[list[Paired], list[tuple[Floats, Floats]]]:
    """Each technique's differences summed up, and its scores beside the baseline's."""
    summed, aligned = [], []
    for name, (technique, baseline) in pairs.items():
        if technique.index.has_duplicates or baseline.index.has_duplicates:
            raise ValueError(f"{name}: a seed has two scores; keep one run a seed")
        ours, theirs = (
            each.to_numpy(dtype=float) for each in technique.align(baseline, join="outer")
        )
        summed.append(paired(ours, theirs, lower_is_better=lower_is_better))
        aligned.append((ours, theirs))
    return summed, aligned


def _differences(aligned: list[tuple[Floats, Floats]], sign: float) -> Floats:
    """[techniques, seeds]; those with less seeds are filled up with NaN."""
    most = max((len(ours) for ours, _ in aligned), default=0)
    found = np.full((len(aligned), most), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):  # of scores near the largest float
        for line, (ours, theirs) in zip(found, aligned, strict=True):
            there = ~(np.isnan(ours) | np.isnan(theirs))
            difference = sign * (ours - theirs)
            # equal infinities differ by no number, and are no missing seed
            line[: len(ours)] = np.where(there & np.isnan(difference), np.inf, difference)
    return found


def _columns(scope: Scope, sign: float, members: Flags) -> dict[str, Floats]:
    columns = {name: np.asarray(getattr(scope, of)) for name, of in SCOPED.items()}
    if sign < 0:
        for prefix in ("", "simultaneous_"):
            low, high = columns[f"{prefix}low"], columns[f"{prefix}high"]
            columns[f"{prefix}low"], columns[f"{prefix}high"] = -high, -low
    columns["p_listed"] = np.full(len(members), np.nan)
    columns["p_listed"][members] = benjamini_hochberg(columns["p"][members])
    return columns
