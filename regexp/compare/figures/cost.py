"""What a technique gives against what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.baseline import KEYS, NONE, Baseline, Key
from regexp.compare.figures import style as s
from regexp.compare.figures.forest import LOOKS
from regexp.compare.figures.labels import along_steps, place_labels
from regexp.compare.figures.scales import logarithmic, usual
from regexp.compare.metric import Metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 24
"""Techniques whose names are written, at most."""


@s.styled
def cost(table: pd.DataFrame, metric: Metric, against: Baseline = NONE) -> Figure:
    """Draw the mean metric at the baseline's seeds against the time in units of the baseline's.

    What stopped early has fewer seeds, which may be the easy ones: its mean is that of the
    baseline and the difference to it, as in the order of the table.

    The stepped line joins the techniques that none beats in both. They, the baseline, the best and
    the worst are named.

    Args:
        table: of a comparison, one dataset and setting.
    """
    lower = metric.lower_is_better
    measured = s.measured(metric.name)
    rows = placed(table, against)
    figure, axes = s.single(6.6, 4.4)
    x, y = rows["relative_seconds"].to_numpy(), rows["adjusted_mean"].to_numpy()
    front = pareto(x, y, lower_is_better=lower)
    order = front[np.argsort(x[front], kind="stable")]
    if len(rows):
        ends = [(x[order[0]], y[order[0]]), *zip(x[order[1:]], y[order[1:]], strict=True)]
        axes.step(*zip(*ends, strict=True), where="post", color=s.INK, linewidth=0.9, alpha=s.FAINT)
    low, high = _heights(y)
    for outcome in rows["outcome"].unique():
        these = (rows["outcome"] == outcome).to_numpy()
        marker, colour, filled = LOOKS.get(outcome, ("*", s.INK, True))
        axes.plot(
            x[these], np.clip(y[these], low, high), marker=marker, color=colour, linestyle="none",
            markerfacecolor=colour if filled else "none",
            label=str(against) if outcome == "baseline" else outcome,
            markersize=10 if outcome == "baseline" else 5.5, clip_on=False,
        )  # fmt: skip
    for beyond, marker in ((y < low, "v"), (y > high, "^")):
        edge = np.clip(y[beyond], low, high) + (-1 if marker == "v" else 1) * 0.045 * (high - low)
        axes.plot(x[beyond], edge, marker=marker, color=s.INK, linestyle="none", markersize=4)
    _scales(axes, x, y)
    axes.set_xlabel(
        f"training time in units of {unit(table, against)}'s at equal seeds (log)   ← cheaper"
    )
    axes.set_ylabel(f"{measured}   {metric.direction}")
    axes.set_title(s.wrapped(s.entitled(titled(metric), table)), fontsize=10)
    if len(rows):
        figure.legend(loc="outside lower center", ncols=5)
    _names(
        figure, axes, rows, front, along_steps(x[order].tolist(), y[order].tolist()), lower=lower
    )
    return figure


def titled(metric: Metric) -> str:
    """What the picture is called: "Test RMSE against cost"."""
    measured = s.measured(metric.name)
    return f"{measured[:1].upper()}{measured[1:]} against cost"


def placed(table: pd.DataFrame, against: Baseline) -> pd.DataFrame:
    """The rows with a finite metric and time; the baseline's own time is 1.

    Of several baselines, as of a grid over epochs, the time of the cheapest is 1.
    """
    rows = table.copy()
    baselines = against.rows(rows)
    rows.loc[baselines, "relative_seconds"] = 1.0
    if baselines.sum() > 1:
        keys: list[Key] = list(rows[KEYS].itertuples(index=False, name=None))
        seconds = dict(zip(compress(keys, baselines), rows.loc[baselines, "seconds"], strict=True))
        of = [against.of(key, seconds) for key in keys]
        theirs = [np.nan if other is None else seconds[other] for other in of]
        rows["relative_seconds"] *= np.array(theirs) / rows.loc[baselines, "seconds"].min()
    values = rows[["relative_seconds", "adjusted_mean"]].astype(float)
    kept = np.isfinite(values.to_numpy()).all(axis=1) & (values["relative_seconds"] > 0).to_numpy()
    return rows[kept].astype(dict.fromkeys(values, float)).reset_index(drop=True)


def unit(table: pd.DataFrame, against: Baseline) -> str:
    """What takes a time of 1: the baseline, or which of several is the cheapest."""
    rows = table[against.rows(table)]
    if len(rows) < 2 or rows["seconds"].isna().all():
        return "the baseline"
    return str(rows.sort_values("seconds", kind="stable")["label"].iloc[0])


def pareto(seconds: np.ndarray, scores: np.ndarray, *, lower_is_better: bool) -> np.ndarray:
    """Positions of those that no other beats: none is as good in both and better in one.

    Args:
        seconds: less is better.
        scores: of the metric.
        lower_is_better: of the scores.
    """
    signed = scores if lower_is_better else -scores
    kept = [
        index
        for index in range(len(seconds))
        if not (
            (seconds <= seconds[index])
            & (signed <= signed[index])
            & ((seconds < seconds[index]) | (signed < signed[index]))
        ).any()
    ]
    return np.array(kept, dtype=int)


def _scales(axes: Axes, x: np.ndarray, y: np.ndarray) -> None:
    if not len(x):
        return
    low, high = min(x.min(), 1 / 1.1), max(x.max(), 1.1)
    room = (high / low) ** 0.08
    axes.set_xlim(low / room, high * room)
    logarithmic(axes, "×")
    low, high = _heights(y)
    room = 0.06 * (high - low)
    axes.set_ylim(low - room, high + room)


def _heights(scores: np.ndarray) -> tuple[float, float]:
    """Limits of what is drawn: what lies far beyond the rest is drawn at the border."""
    if not len(scores):
        return 0.0, 1.0
    middle = float(np.median(scores))
    most = usual(np.abs(scores - middle)) or 0.05 * abs(middle) or 0.05
    low, high = max(float(scores.min()), middle - most), min(float(scores.max()), middle + most)
    return (low, high) if low < high else (low - most, high + most)


def _names(
    figure: Figure,
    axes: Axes,
    rows: pd.DataFrame,
    front: np.ndarray,
    along: Sequence[tuple[float, float]],
    *,
    lower: bool,
) -> None:
    """The baseline, best and worst first, then the front, then the others while there is room."""
    if rows.empty:
        return
    ranked = list(rows["adjusted_mean"].sort_values(ascending=lower, kind="stable").index)
    first = [*rows.index[rows["outcome"] == "baseline"][:1], ranked[0], ranked[-1], *front]
    rest = ranked if len(rows) <= NAMED else []
    wanted = list(dict.fromkeys([*first, *rest]))[:NAMED]
    figure.draw_without_rendering()  # places the panel
    scores = rows["adjusted_mean"].to_numpy()
    drawn = np.clip(scores, *_heights(scores))
    points = list(zip(rows["relative_seconds"], drawn.tolist(), strict=True))
    shown = s.distinct(rows["label"][wanted], 26)
    names = [
        (index, name + (f" at {scores[index]:.3g}" if scores[index] != drawn[index] else ""))
        for index, name in zip(wanted, shown, strict=True)
    ]
    place_labels(axes, points, names, along)
