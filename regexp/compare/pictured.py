"""Which techniques, datasets and settings of a large comparison are pictured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from regexp.compare.baseline import KEYS, NONE, Baseline, Key

if TYPE_CHECKING:
    import pandas as pd

    from regexp.compare.comparison import Comparison, Family
    from regexp.compare.metric import Metric

BEST, WORST = 11, 4
"""Techniques that pictures of small panels show, beside the baseline, where a sweep has more."""

FAMILIES = 16
"""Datasets and settings with pictures of their own, where a comparison has more: each has about
five, which take two seconds together."""


def panel_keys(table: pd.DataFrame, metric: Metric, against: Baseline = NONE) -> set[Key]:
    """The rows that pictures of small panels show: all, or the baseline, the best and the worst."""
    keys = [cast("Key", tuple(row)) for row in table[KEYS].itertuples(index=False)]
    if len(keys) <= 1 + BEST + WORST:
        return set(keys)
    others = table[~against.rows(table) & table["mean"].notna()]
    others = others.sort_values("adjusted_mean", ascending=metric.lower_is_better, kind="stable")
    others = others.drop_duplicates(KEYS)
    count = len(others)
    ends = others.iloc[[*range(min(BEST, count)), *range(max(BEST, count - WORST), count)]]
    extremes = [cast("Key", tuple(row)) for row in ends[KEYS].itertuples(index=False)]
    return {*extremes, *(reference for key in extremes if (reference := against.of(key, keys)))}


def pictured(comparison: Comparison) -> Sequence[Family]:
    """The datasets and settings that have pictures of their own.

    All where they are few; else of each dataset as many settings, at least one: those in which
    some technique scores best, in the order of the comparison.
    """
    families, metric = comparison.families, comparison.metric
    if len(families) <= FAMILIES:
        return families
    by_dataset: dict[str, list[int]] = {}
    for index, family in enumerate(families):
        by_dataset.setdefault(family.dataset, []).append(index)
    each = max(1, FAMILIES // len(by_dataset))
    worst = float("inf")

    def loss(index: int) -> float:
        means = families[index].rows["adjusted_mean"].dropna()
        if means.empty:
            return worst
        return float(means.min()) if metric.lower_is_better else -float(means.max())

    kept = {index for ours in by_dataset.values() for index in sorted(ours, key=loss)[:each]}
    return [family for index, family in enumerate(families) if index in kept]
