"""Who wins at which budget: expected validation performance against configurations tried."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from regexp.compare.baseline import NONE, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.scales import spread
from regexp.compare.metric import Metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 8
"""Techniques that have a look and a name of their own, beside the baseline."""

BANDS = 4
"""Of those, so many have a band: more would cover each other."""


@s.styled
def budget(evp: pd.DataFrame, metric: Metric, against: Baseline = NONE) -> Figure:
    """Draw the expected best validation score against the number of configurations tried.

    The best at the largest budget and the baseline are named; the first of them have bands. All
    others are thin lines.

    Args:
        evp: from `compare.budget.expected_validation`, of one dataset and setting.
    """
    from matplotlib.ticker import MaxNLocator

    figure, axes = s.single(7.0, 4.6)
    named = leaders(evp, lower_is_better=metric.lower_is_better, against=against)
    for label, part in evp.groupby("label", sort=False):
        if label not in named:
            axes.plot(part["budget"], part["value"], color=s.INK, linewidth=0.6, alpha=s.FAINT)
    looks = zip(cycle(s.COLOURS), cycle(s.DASHES), cycle(s.MARKERS), strict=False)
    ends: list[tuple[float, str, str]] = []
    for place, label in enumerate(named):
        part = evp[evp["label"] == label].sort_values("budget")
        colour, dash, marker = (s.INK, "-", "*") if label == str(against) else next(looks)
        if place < BANDS:
            axes.fill_between(part["budget"], part["low"], part["high"], color=colour, alpha=0.15,
                              linewidth=0)  # fmt: skip
        axes.plot(part["budget"], part["value"], color=colour, linestyle=dash, marker=marker,
                  markevery=max(1, len(part) // 8), markersize=5, linewidth=1.5)  # fmt: skip
        finite = part.dropna(subset="value")
        if len(finite):
            ends.append((float(finite["value"].iloc[-1]), label, colour))
    if len(evp):
        axes.set_xlim(0, float(evp["budget"].max()))
    axes.set_xlabel("configurations tried")
    axes.set_ylabel(f"expected best {s.measured(metric.name)}   {metric.direction}")
    title = "Expected validation performance against budget"
    axes.set_title(s.wrapped(s.entitled(title, evp)), fontsize=10)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    name_ends(axes, ends)
    return figure


def leaders(evp: pd.DataFrame, *, lower_is_better: bool, against: Baseline = NONE) -> list[str]:
    """The baseline and the best at the largest budget that each was tried with."""
    last = evp.dropna(subset="value").sort_values("budget").groupby("label")["value"].last()
    order = last.sort_values(ascending=lower_is_better, kind="stable").index
    best = [str(label) for label in order if label != str(against)][:NAMED]
    return [*([str(against)] if str(against) in last else []), *best]


def name_ends(axes: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write names at the right ends of lines, moved apart; at its edge if they leave the panel."""
    low, high = axes.get_ylim()
    ends = [(min(max(y, low), high), name, colour) for y, name, colour in ends]
    size = axes.figure.get_window_extent().height / axes.figure.dpi  # inches
    gap = 0.2 / size * (high - low)  # of a line of text
    places = spread([y for y, _, _ in ends], gap)
    names = s.distinct((name for _, name, _ in ends), 26)
    for (y, _, colour), name, place in zip(ends, names, places, strict=True):
        axes.annotate(
            name, xy=(1, y), xytext=(1.03, place), xycoords=axes.get_yaxis_transform(),
            textcoords=axes.get_yaxis_transform(), va="center", fontsize=8, color=s.INK,
            # From the left edge of the name: from its middle, lines would cross other names.
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 1, "shrinkA": 0,
                        "shrinkB": 0, "relpos": (0, 0.5)},
            annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(low, high)
