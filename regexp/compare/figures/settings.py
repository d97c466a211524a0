"""The difference to the baseline against a number that the sweep varies, such as the rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regexp.compare.baseline import NONE, Baseline, parts_of
from regexp.compare.figures import style as s
from regexp.compare.figures.budget import name_ends
from regexp.compare.figures.scales import logarithmic, usual
from regexp.compare.formats import digits_of
from regexp.compare.metric import PLAIN, Metric
from regexp.compare.table import CLAIMS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOGETHER = 5
"""Techniques that share a panel, at most; more get one each."""

LETTER = 0.065
"""Inches of a letter at a tick."""


@s.styled
def settings(table: pd.DataFrame, metric: Metric, key: str, against: Baseline = NONE) -> Figure:
    """Draw the difference to the baseline against a numeric setting, one line a technique.

    Whiskers or bands are 95% intervals; filled markers are verdicts that are claims. What lies far
    beyond the others ends in an arrow at the edge, with its number.

    Args:
        table: of a comparison: one dataset, whose settings differ in the number `key` alone.
        key: such as `dataset.train_size`.
    """
    rows = table[~against.rows(table)].copy()
    rows["x"] = [parsed(setting).get(key, math.nan) for setting in rows["setting"]]
    rows = rows[np.isfinite(rows["x"])].sort_values("x", kind="stable")
    for name in ("difference", "low", "high"):
        rows[name] = rows[name].astype(float) * metric.unit.factor
    labels = list(dict.fromkeys(table.loc[table["label"].isin(rows["label"]), "label"]))
    draw = _together if len(labels) <= TOGETHER else _apart
    title = s.entitled(f"Difference to {against} against {key}", table)
    return draw(rows, labels, key, s.difference_label(metric, against), title)


def parsed(setting: str) -> dict[str, float]:
    """The numbers of a setting: "optimizer.lr=0.1, model=cnn" has one."""
    numbers = {}
    for part in parts_of(setting):
        key, _, text = part.partition("=")
        try:
            value = float(text)
        except ValueError:
            continue
        if math.isfinite(value):
            numbers[key] = value
    return numbers


def numeric_keys(table: pd.DataFrame) -> list[str]:
    """The keys that have two or more numbers in the settings."""
    values: dict[str, set[float]] = {}
    for setting in table["setting"].unique():
        for key, value in parsed(str(setting)).items():
            values.setdefault(key, set()).add(value)
    return [key for key, numbers in values.items() if len(numbers) > 1]


def groups(table: pd.DataFrame) -> list[tuple[str, str, str, pd.DataFrame]]:
    """What `settings` can draw: (dataset, key, rest of the setting, rows), two numbers or more."""
    drawable = []
    for dataset, part in table.groupby("dataset", sort=False):
        for key in numeric_keys(part):
            rest = [
                ", ".join(text for text in parts_of(str(setting)) if not text.startswith(f"{key}="))
                for setting in part["setting"]
            ]
            for other, rows in part.groupby(rest, sort=False):
                numbers = {parsed(str(setting)).get(key) for setting in rows["setting"]} - {None}
                if len(numbers) > 1:
                    drawable.append((str(dataset), key, str(other), rows))
    return drawable


def _together(rows: pd.DataFrame, labels: Sequence[str], key: str, y: str, title: str) -> Figure:
    figure, axes = s.single(7.0, 4.4)
    logarithm = _scale([axes], rows["x"])
    ends = []
    axes.set_ylim(*_heights(rows))
    values = np.unique(rows["x"])
    step = _step(values, logarithm)
    for place, label in enumerate(labels):
        part = rows[rows["label"] == label]
        shift = (place - (len(labels) - 1) / 2) * step * 0.07
        x = part["x"] * math.exp(shift) if logarithm else part["x"] + shift
        colour = s.COLOURS[place % len(s.COLOURS)] if place < len(s.COLOURS) else s.INK
        marker, dash = s.MARKERS[place], s.DASHES[place]
        axes.plot(x, part["difference"], color=colour, linestyle=dash, linewidth=1.4)
        axes.vlines(x, part["low"], part["high"], color=colour, linewidth=1)
        _markers(axes, x, part, marker, colour)
        finite = part.dropna(subset="difference")
        if len(finite):
            ends.append((float(finite["difference"].iloc[-1]), label, colour))
    axes.axhline(0, color=s.INK, linewidth=1)
    axes.set_xlabel(key)
    axes.set_ylabel(y)
    axes.set_title(s.wrapped(title), fontsize=10)
    name_ends(axes, ends)
    return figure


def _apart(rows: pd.DataFrame, labels: Sequence[str], key: str, y: str, title: str) -> Figure:
    figure, panels = s.panels(len(labels))
    _scale(panels[: len(labels)], rows["x"])
    panels[0].set_ylim(*_heights(rows))
    for panel, label, name in zip(panels, labels, s.distinct(labels), strict=False):
        for other in labels:
            if other != label:
                part = rows[rows["label"] == other]
                panel.plot(part["x"], part["difference"], color=s.INK, linewidth=0.5, alpha=0.2)
        part = rows[rows["label"] == label]
        panel.axhline(0, color=s.INK, linewidth=0.9)
        panel.fill_between(
            part["x"], part["low"], part["high"], color=s.BLUE, alpha=0.2, linewidth=0
        )
        panel.plot(part["x"], part["difference"], color=s.BLUE, linewidth=1.4)
        _markers(panel, part["x"], part, "o", s.BLUE)
        panel.set_title(name)
    s.around(figure, title=title, x=key, y=y, handles=_handles())
    return figure


def _markers(axes: Axes, x: Any, part: pd.DataFrame, marker: str, colour: str) -> None:
    low, high = axes.get_ylim()
    for place, value, outcome in zip(x, part["difference"], part["outcome"], strict=True):
        beyond = value < low or value > high
        axes.plot(
            place, np.clip(value, low, high), marker=("v" if value < low else "^") if beyond else
            marker, color=colour, markerfacecolor=colour if outcome in CLAIMS else "none",
            markersize=5, linestyle="none", clip_on=not beyond,
        )  # fmt: skip
        if beyond:
            up = 6 if value < low else -6
            left = axes.transAxes.inverted().transform(axes.transData.transform((place, low)))[0]
            ahead = left < 0.2  # no room before it
            text = s.signed(value, digits_of(value, PLAIN) + 1)
            axes.annotate(
                text, (place, np.clip(value, low, high)), (5 if ahead else -5, up),
                textcoords="offset points", ha="left" if ahead else "right",
                va="bottom" if up > 0 else "top",
                fontsize=7, color=colour,
            )  # fmt: skip


def _scale(axes: Sequence[Axes], x: pd.Series) -> bool:
    """Ticks at the numbers themselves; a logarithmic axis where they are far apart."""
    values = np.unique(x.to_numpy(dtype=float))
    if not len(values):
        return False
    logarithm = bool(values[0] > 0 and values[-1] / values[0] > 8)
    for panel in axes:
        if logarithm:
            panel.set_xlim(values[0] / 1.3, values[-1] * 1.3)
            logarithmic(panel)
        else:
            room = 0.05 * float(np.ptp(values)) or 0.5
            panel.set_xlim(values[0] - room, values[-1] + room)
        panel.set_xticks(values, _told(panel, values))
        panel.minorticks_off()
    return logarithm


def _told(axes: Axes, values: np.ndarray) -> list[str]:
    """The numbers at the ticks of an axis, without those that would lie over an earlier one."""
    along = axes.transAxes.inverted().transform(
        axes.transData.transform([(value, 0.0) for value in values])
    )[:, 0]  # fmt: skip
    width = axes.get_window_extent().width / axes.figure.dpi
    texts: list[str] = []
    free = -math.inf
    for value, at in zip(values, along * width, strict=True):
        text = f"{value:g}"
        half = LETTER * (len(text) + 1) / 2
        texts.append(text if at - half >= free else "")
        free = at + half if texts[-1] else free
    return texts


def _heights(rows: pd.DataFrame) -> tuple[float, float]:
    """Limits of the y axis, which nothing far beyond the rest stretches."""
    ends = rows[["difference", "low", "high"]].to_numpy(dtype=float)
    most = usual(np.abs(ends)) or 1.0
    drawn = np.append(np.clip(ends[np.isfinite(ends)], -most, most), 0.0)
    margin = 0.05 * float(np.ptp(drawn)) or 1.0
    return float(drawn.min()) - margin, float(drawn.max()) + margin


def _step(values: np.ndarray, logarithm: bool) -> float:
    gaps = np.diff(np.log(values) if logarithm else values)
    return float(gaps.min()) if len(gaps) else 1.0


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    look = {"color": s.BLUE, "marker": "o", "markersize": 5, "linestyle": "none"}
    return [
        Line2D([], [], markerfacecolor=s.BLUE, label="helps or hurts", **cast("Any", look)),
        Line2D([], [], markerfacecolor="none", label="no claim", **cast("Any", look)),
        Line2D([], [], color=s.BLUE, alpha=0.3, linewidth=6, label="95% interval"),
        Line2D([], [], color=s.INK, alpha=s.FAINT, linewidth=0.6, label="the other techniques"),
    ]
