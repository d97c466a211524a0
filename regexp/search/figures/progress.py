"""The best score so far against the time that was trained for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.figures import style as s
from regexp.compare.figures.budget import name_ends
from regexp.compare.figures.labels import along_steps, place_labels
from regexp.compare.figures.scales import limits, logarithmic
from regexp.compare.metric import Metric
from regexp.compare.yardsticks import GUESSES
from regexp.search.records import NONE, RECIPES, Improvement, SearchRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {RECIPES: (s.BLUE, "o", "-"), NONE: (s.VERMILION, "s", s.DASHES[1])}
"""Colour, marker and line of each arm."""


@s.styled
def progress(record: SearchRecord) -> Figure:
    """Draw the score of each trial, and the best so far of recipes and of `none`, against time.

    Time is the training that the arm's trials have recorded, on a logarithmic axis. Trials that a
    rung ended are fainter and no part of the lines; what lies far below stands at the edge.
    Estimators are horizontal lines.
    """
    figure, axes = s.single(7.4, 4.4)
    low, high = _heights(record)
    labelled: list[Improvement] = []
    ends: list[tuple[float, str, str]] = []
    last = max((times[-1] for arm in record.trials if (times := record.seconds(arm))), default=1.0)
    for arm, (colour, marker, line) in LOOKS.items():
        times = record.seconds(arm)
        for trial, time in zip(record.trials[arm], times, strict=True):
            if trial.score is None:
                continue
            inside = float(np.clip(trial.score, low, high))
            axes.plot(
                time, inside, marker=marker if inside == trial.score else "|", color=colour,
                markersize=3.5, markerfacecolor=colour if trial.whole else "none",
                alpha=0.5 if trial.whole else 0.25, markeredgewidth=0.6, linestyle="none",
                clip_on=False,
            )  # fmt: skip
        better = record.improvements(arm)
        if not better:
            continue
        x = [one.seconds for one in better]
        y = [one.score for one in better]
        axes.step([*x, times[-1]], [*y, y[-1]], where="post", color=colour, linestyle=line,
                  linewidth=1.6)  # fmt: skip
        axes.plot([times[-1], last], [y[-1]] * 2, color=colour, linewidth=0.8, alpha=s.FAINT)
        shown = [one for one in better if low <= one.score <= high]
        axes.plot([one.seconds for one in shown], [one.score for one in shown], marker=marker,
                  color=colour, linestyle="none", markersize=6, clip_on=False)  # fmt: skip
        ends.append((y[-1], "best recipe so far" if arm == RECIPES else "none, tuned", colour))
        if arm == RECIPES:
            labelled = shown
    for dash, (name, score) in zip(s.DASHES[2:], _drawn_lines(record), strict=False):
        axes.axhline(score, color=s.INK, linestyle=dash, linewidth=1)
        ends.append((score, name.replace("_", " "), s.INK))
    axes.set_ylim(low, high)
    _time(axes, record, last)
    axes.set_xlabel("training recorded so far, by recipes or by none, seconds (log)")
    axes.set_ylabel(f"{s.measured(record.metric)}   {_metric(record).direction}")
    axes.set_title(s.wrapped("The search against time"), fontsize=10)
    name_ends(axes, ends)
    figure.canvas.draw()  # labels are placed by where points are on the page
    points = [(one.seconds, one.score) for one in labelled]
    names = [(at, str(one.number)) for at, one in enumerate(labelled)]
    better = [one for one in record.improvements(RECIPES) if one.seconds > 0]
    heights = [one.score for one in better]
    ends_at = [last] if better else []
    along = along_steps([*(one.seconds for one in better), *ends_at], [*heights, *heights[-1:]])
    place_labels(axes, points, names, along)
    return figure


def _metric(record: SearchRecord) -> Metric:
    return Metric(record.metric, record.lower_is_better)


def _drawn_lines(record: SearchRecord) -> Sequence[tuple[str, float]]:
    """Estimators, but for those that only guess."""
    return [(name, score) for name, score in record.yardsticks.items() if name not in GUESSES]


def _heights(record: SearchRecord) -> tuple[float, float]:
    """Limits that show the better half of the trials, and all lines."""
    scores = np.array(
        [one.score for trials in record.trials.values() for one in trials if one.score is not None]
    )
    scores = np.sort(scores[np.isfinite(scores)])
    if not record.lower_is_better:
        scores = scores[::-1]
    shown = [*scores[: max(len(scores) // 2, 1)], *(score for _, score in _drawn_lines(record))]
    return limits(shown) or (0.0, 1.0)


def _time(axes: Axes, record: SearchRecord, last: float) -> None:
    """Limits and ticks of the axis of time."""
    first = min((time for arm in record.trials for time in record.seconds(arm) if time > 0),
                default=last / 10)  # fmt: skip
    axes.set_xlim(first / 1.15, max(last, first * 1.01) * 1.05)
    logarithmic(axes)
