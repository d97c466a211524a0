"""The numbers of all trials as parallel coordinates (Inselberg 1985)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from regexp.compare.figures import style as s
from regexp.compare.formats import digits_of, rounded
from regexp.compare.metric import PLAIN
from regexp.config.search_space import Dimension
from regexp.search.records import NONE, RECIPES, SearchRecord, Tried

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND = 0.5
"""Width of an axis with its ticks, in distances between axes: no line crosses it."""

SPREAD = 0.7
"""Of a category's room, the share that its lines are spread over."""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        name: above it.
        ticks: (height, text), heights from 0 to 1.
        heights: of each trial.
    """

    name: str
    ticks: Sequence[tuple[float, str]]
    heights: Sequence[float]


def axes_of(record: SearchRecord, trials: Sequence[Tried]) -> list[Axis]:
    """What the trials differ in: what every recipe has, how many techniques, and the score.

    Args:
        record: of the search.
        trials: with scores, in the order in which lines of one category lie side by side.
    """
    axes = []
    for one in record.shared:
        values = [trial.recipe.shared[one.key] for trial in trials]
        name = s.measured(one.key.rpartition(".")[2])
        axes.append(_categories(name, one.choices, values) if one.choices
                    else _numbers(name, one, values))  # fmt: skip
    counts = [len(trial.recipe.techniques) for trial in trials]
    axes.append(_categories("techniques", range(max(counts, default=0) + 1), counts))
    axes.append(_scores(record, [float(trial.score or 0.0) for trial in trials]))
    return axes


@s.styled
def parallel(record: SearchRecord) -> Figure:
    """Draw each trial of a recipe as a line; the better its rank the darker, the chosen on top."""
    from matplotlib.lines import Line2D

    trials = sorted(
        (one for one in record.trials[RECIPES] if one.score is not None),
        key=lambda one: one.rank,
    )
    quarter = math.ceil(len(trials) / 4)
    found = record.recipe.recipe
    if all(one.recipe != found for one in trials):  # none with tuned numbers is the recipe
        other = [one for one in record.trials[NONE] if one.score is not None]
        first = [one for one in other if one.recipe == found][:1]
        trials, quarter = [*first, *trials], quarter + len(first)
    drawn = axes_of(record, trials)
    figure, axes = s.single(1.4 * len(drawn), 4.2)
    for place in reversed(range(len(trials))):
        good = place < quarter
        share = place / max(len(trials) - 1, 1)
        _line(axes, [one.heights[place] for one in drawn],
              color=s.BLUE if good else s.INK, linewidth=1.1 if good else 0.7,
              alpha=(0.9 - 1.2 * share if good else 0.3 - 0.22 * share)
              * (1 if trials[place].whole else 0.5))  # fmt: skip
    chosen = [at for at, one in enumerate(trials) if one.recipe == found]
    for place in chosen[:1]:
        _line(axes, [one.heights[place] for one in drawn], color=s.VERMILION, linewidth=2.2,
              marker="D", markersize=4)  # fmt: skip
    for place, one in enumerate(drawn):
        _ticks(axes, place, one, [-1] * (place > 0) + [1] * (place < len(drawn) - 1))
    axes.set_xlim(-0.35, len(drawn) - 0.65)
    axes.set_ylim(-0.05, 1.05)
    axes.axis("off")
    axes.set_title(s.wrapped("Numbers of the trials"), fontsize=10, pad=30)
    handles = [
        Line2D([], [], color=s.VERMILION, linewidth=2.2, marker="D", markersize=4, label="chosen"),
        Line2D([], [], color=s.BLUE, linewidth=1.4, label="best quarter, the best the darkest"),
        Line2D([], [], color=s.INK, alpha=0.3, linewidth=0.8, label="the others"),
    ]
    figure.legend(handles=handles[0 if chosen else 1 :], loc="outside lower center", ncols=3)
    return figure


def _line(axes: Axes, heights: Sequence[float], marker: str = "none", **look: Any) -> None:
    """A line in pieces between the bands of the axes; outside of all there is none."""
    x: list[float] = []
    y: list[float] = []
    for place, height in enumerate(heights):
        x += [place - BAND / 2, place, place + BAND / 2]
        y += [height, math.nan, height]
    axes.plot(x[2:-2], y[2:-2], solid_capstyle="round", marker=marker, **look)


def _ticks(axes: Axes, place: int, axis: Axis, sides: Sequence[int]) -> None:
    """The sides of a band (-1: left, 1: right), with the ticks in it and the name above."""
    for side in sides:
        axes.plot(
            [place + side * BAND / 2] * 2, [-0.02, 1.02], color=s.INK, linewidth=0.6, alpha=0.5
        )
    for height, text in axis.ticks:
        axes.text(place, height, text, ha="center", va="center", fontsize=6.5)
    axes.text(place, 1.06, axis.name, ha="center", va="bottom", fontsize=8)


def _numbers(name: str, one: Dimension, values: Sequence[float]) -> Axis:
    """An axis from the lower to the upper end of a range."""
    return Axis(name, [(one.share(at), f"{at:g}") for at in _round(one)], [*map(one.share, values)])


def _round(one: Dimension) -> list[float]:
    """Round numbers within a range."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    if one.log:
        subs = (1.0,) if one.high / one.low >= 1e3 else (1.0, 2.0, 5.0)
        found = LogLocator(subs=subs).tick_values(one.low, one.high)
    else:
        found = MaxNLocator(5).tick_values(one.low, one.high)
    inside = [float(at) for at in found if one.low * (1 - 1e-9) <= at <= one.high * (1 + 1e-9)]
    return inside or [one.low, one.high]


def _categories(name: str, choices: Sequence[Any], values: Sequence[Any]) -> Axis:
    """An axis whose choices have equal rooms, in which the lines lie side by side."""
    room = 1 / max(len(choices), 1)
    places = [list(choices).index(value) if value in choices else None for value in values]
    heights = []
    for at, place in enumerate(places):
        mates = [other for other, it in enumerate(places) if it == place]
        share = (mates.index(at) + 0.5) / len(mates) - 0.5
        middle = 0.5 if place is None else (place + 0.5) * room
        heights.append(middle - share * SPREAD * room)
    ticks = [((at + 0.5) * room, _words(choice)) for at, choice in enumerate(choices)]
    return Axis(name, ticks, heights)


def _words(choice: object) -> str:
    if isinstance(choice, list | tuple):
        return "-".join(map(str, choice)) or "none"
    return str(choice).replace("_", "\n")


def _scores(record: SearchRecord, scores: Sequence[float]) -> Axis:
    """The axis of scores, the best on top; the worse half stands at its lower end."""
    values = np.asarray(scores, dtype=float)
    sign = -1 if record.lower_is_better else 1
    finite = values[np.isfinite(values)] * sign
    low = float(np.median(finite)) if len(finite) else 0.0
    high = float(finite.max()) if len(finite) else 1.0
    size = high - low or 1.0
    heights = [
        min(max((sign * value - low) / size, 0.0), 1.0) if math.isfinite(value) else 0.0
        for value in scores
    ]
    digits = digits_of(size / 2, PLAIN)
    ends = [
        (share, rounded(sign * (low + share * size), digits)) for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    return Axis(s.measured(record.metric).replace(" ", "\n"), ends, heights)
