"""The pictures of a comparison: functions from its frames to figures, and which of them apply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from regexp.compare.figures.budget import budget
from regexp.compare.figures.cost import cost, placed
from regexp.compare.figures.critical_difference import critical_difference
from regexp.compare.figures.forest import forest
from regexp.compare.figures.heat_map import heat_map
from regexp.compare.figures.learning import learning_curves
from regexp.compare.figures.overfitting import overfitting
from regexp.compare.figures.picture import Picture, file_name, png, svg
from regexp.compare.figures.rates import rates
from regexp.compare.figures.reliability import reliability
from regexp.compare.figures.settings import groups, settings
from regexp.compare.figures.style import measured, where
from regexp.compare.figures.weights import weights
from regexp.compare.table import BASELINE, FAMILY, KEYS, Key, baseline

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from regexp.compare.comparison import Comparison

__all__ = [
    "Picture",
    "budget",
    "cost",
    "critical_difference",
    "draw",
    "forest",
    "heat_map",
    "learning_curves",
    "overfitting",
    "png",
    "rates",
    "reliability",
    "settings",
    "svg",
    "weights",
]

BEST, WORST = 11, 4
"""Techniques that pictures of small panels show, beside the baseline, where a sweep has more."""

_logger = logging.getLogger(__name__)

Made = tuple[str, str, str, "Callable[[], Figure]"]
"""Name, title, caption, and what draws it."""


def draw(comparison: Comparison, curves: pd.DataFrame, diagnostics: pd.DataFrame) -> list[Picture]:
    """The pictures that a comparison allows, those across datasets first.

    A picture that cannot be drawn is left out and told of in the log.

    Args:
        comparison: from `compare.compare`.
        curves, diagnostics: from `compare.curves` and `compare.diagnostics`, of the same runs.
    """
    pictures = []
    for name, title, caption, figure in [
        *_across(comparison),
        *_families(comparison, curves, diagnostics),
        *_rates(curves),
    ]:
        try:
            pictures.append(Picture(file_name(name), title, caption, figure()))
        except Exception as error:  # a picture must not take the comparison with it
            _logger.warning("%s: cannot be drawn (%s: %s)", title, type(error).__name__, error)
    return pictures


def shown(table: pd.DataFrame) -> set[Key]:
    """The rows that pictures of small panels show: all, or the baseline, the best and the worst.

    Args:
        table: of one dataset and setting.
    """
    keys = [cast("Key", tuple(row)) for row in table[KEYS].itertuples(index=False)]
    if len(keys) <= 1 + BEST + WORST:
        return set(keys)
    others = table[(table["technique"] != BASELINE) & table["mean"].notna()]
    others = others.sort_values(
        "mean", ascending=table.attrs["lower_is_better"], kind="stable"
    ).drop_duplicates(KEYS)
    count = len(others)
    ends = others.iloc[[*range(min(BEST, count)), *range(max(BEST, count - WORST), count)]]
    chosen = [cast("Key", tuple(row)) for row in ends[KEYS].itertuples(index=False)]
    return {*chosen, *(key for one in chosen if (key := baseline(one, keys)))}


def _across(comparison: Comparison) -> Iterator[Made]:
    table, lower = comparison.table, comparison.lower_is_better
    metric = measured(comparison.metric)
    compared = table[table["difference"].notna() & (table["technique"] != BASELINE)]
    if len(compared[FAMILY].drop_duplicates()) > 1:
        yield (
            "heat_map", "All differences to the baseline",
            f"Each number is the mean paired difference of {metric} to {BASELINE}, rows ordered by "
            "their mean. Blue is better, red is worse; bold and framed where the corrected p-value "
            "makes it a verdict.",
            partial(heat_map, table),
        )  # fmt: skip
    ranked = comparison.across
    if ranked is not None and ranked.scores.shape[1] > 1:
        claims = ranked.wilcoxon.index[ranked.wilcoxon["p_holm"] < 0.05]
        yield (
            "critical_difference", "Average ranks across datasets",
            "Techniques by their average rank over the datasets, the best on the left. A bar joins "
            "those that Nemenyi's test cannot tell apart, which it seldom can for many techniques "
            "on few datasets; a star marks those that differ from the baseline by Wilcoxon's test, "
            "corrected after Holm.",
            partial(critical_difference, ranked.scores, lower, {str(name) for name in claims}),
        )  # fmt: skip
    for dataset, key, rest, rows in groups(table):
        if (rows["difference"].notna() & (rows["technique"] != BASELINE)).any():
            said = ", ".join(filter(None, [dataset, rest]))
            yield (
                "_".join(filter(None, ["settings", key, dataset, rest])),
                f"Difference to the baseline against {key}: {said}",
                f"The mean paired difference of {metric} to {BASELINE} at each {key}, with its 95% "
                "interval; a filled marker is a verdict, an empty one no evidence.",
                partial(settings, rows, key),
            )  # fmt: skip


def _rates(curves: pd.DataFrame) -> Iterator[Made]:
    for name, part in curves[curves["metric"] == "lr"].groupby("dataset", sort=False):
        yield (
            f"learning_rate_{name}", f"Learning rates: {name}",
            "The learning rate of each epoch's last step as it was recorded, one line for all runs "
            "that share it; where runs have their own, the mean over seeds.",
            partial(rates, part),
        )  # fmt: skip


def _families(
    comparison: Comparison, curves: pd.DataFrame, diagnostics: pd.DataFrame
) -> Iterator[Made]:
    for place, table in comparison.table.groupby(FAMILY, sort=False):
        own = [frame[(frame[FAMILY] == list(place)).all(axis=1)] for frame in
               (curves, diagnostics, comparison.runs, comparison.trials)]  # fmt: skip
        table = table.copy()
        table.attrs = dict(comparison.table.attrs)
        suffix = "_".join(filter(None, map(str, place)))
        said = where(table)
        for name, title, caption, figure in _family(comparison, table, *own):
            yield f"{name}_{suffix}", f"{title}: {said}" if said else title, caption, figure


def _family(
    comparison: Comparison, table: pd.DataFrame, curves: pd.DataFrame, diagnostics: pd.DataFrame,
    runs: pd.DataFrame, trials: pd.DataFrame,
) -> Iterator[Made]:  # fmt: skip
    metric = measured(comparison.metric)
    if (table["difference"].notna() & (table["technique"] != BASELINE)).any():
        yield (
            "forest", "Difference to the baseline",
            f"Each row is the mean of {metric} minus that of {BASELINE} at equal seeds. The thick "
            "line is its 95% interval, looked at alone; the thin one holds for all rows together. "
            "Only filled diamonds (helps) and squares (hurts) are claims.",
            partial(forest, table),
        )  # fmt: skip
    if len(placed(table)) > 1:
        yield (
            "cost", f"{metric} against cost".capitalize(),
            f"Mean {metric} against training time in units of the baseline's. No technique beats "
            "those on the stepped line in both.",
            partial(cost, table),
        )  # fmt: skip
    yield from _trials(trials)
    there = set(curves["metric"])
    if {"train/loss", "val/loss"} <= set(curves.loc[curves["technique"] == BASELINE, "metric"]):
        yield (
            "overfitting", "Overfitting of the baseline",
            "Losses of the baseline on training and validation rows: thin lines are seeds, thick "
            "ones their mean. Where the validation loss turns up while the training loss goes on "
            "falling, the network learns its rows by heart; the dotted lines are where techniques "
            "stopped (median over seeds).",
            partial(overfitting, curves, runs),
        )  # fmt: skip
    explained = (
        "Means over seeds, with a band of one standard deviation. The baseline is behind in grey; "
        "a line is dotted where some seeds have stopped."
    )
    for metrics in (["train/loss", "val/loss"], ["val/accuracy"], ["val/rmse"]):
        if there & set(metrics):
            kind = metrics[-1].rpartition("/")[2]
            yield (
                f"learning_curves_{kind}", f"Learning curves, {measured(kind)}", explained,
                partial(learning_curves, curves, metrics=metrics),
            )  # fmt: skip
    yield from _distributions(table, diagnostics)


def _trials(trials: pd.DataFrame) -> Iterator[Made]:
    """Expected validation performance, where numbers were searched for."""
    if trials.empty:
        return

    def figure() -> Figure:
        from regexp.compare.budget import expected_validation
        from regexp.metrics.names import CHOSEN_BY, VALIDATION_LOSS

        there = [pair for pair in CHOSEN_BY if f"metrics.{pair[0]}" in trials]
        metric, lower = there[0] if there else (VALIDATION_LOSS, True)
        return budget(expected_validation(trials, metric, lower))

    yield (
        "budget", "Validation performance against budget",
        "What the best of so many configurations, drawn at random from those that were tried, is "
        "expected to score on validation rows (Tang et al. 2020), with a band that holds it in at "
        "least 80% of the draws. Where lines cross, the winner depends on the budget.",
        figure,
    )  # fmt: skip


def _distributions(table: pd.DataFrame, diagnostics: pd.DataFrame) -> Iterator[Made]:
    if diagnostics.empty:
        return
    chosen = shown(table)
    keys = [tuple(row) for row in diagnostics[KEYS].itertuples(index=False)]
    some = diagnostics[[key in chosen for key in keys]]
    left = len(table) - len(chosen)
    only = f" Of {len(table)} rows, the best {BEST} and the worst {WORST}." if left > 0 else ""
    if any("weights" in content for content in some["content"]):
        yield (
            "weights", "Sizes of the weights",
            "Histograms of log10 |w| at the end of training, all seeds together; the line is the "
            f"baseline. Zeros have no place on the axis: their share is written.{only}",
            partial(weights, some),
        )  # fmt: skip
    if any("reliability" in content for content in some["content"]):
        yield (
            "reliability", "Reliability diagrams",
            "How often predictions are right (above) and how many there are (below), by how sure "
            "they are; all seeds' test rows together. Above the diagonal a network is too modest, "
            f"below it too sure. ECE is the mean over seeds.{only}",
            partial(reliability, some),
        )  # fmt: skip
