"""Forest plot: the difference of every technique to the baseline, with its intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.baseline import NONE, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.scales import usual
from regexp.compare.formats import interval_text
from regexp.compare.metric import PLAIN, Metric

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    "helps": ("D", s.BLUE, True),
    "hurts": ("s", s.VERMILION, True),
    "probably helps": ("D", s.BLUE, False),
    "probably hurts": ("s", s.VERMILION, False),
    "practically equal": ("o", s.INK, True),
    "no evidence": ("o", s.INK, False),
    "did nothing": ("_", s.INK, True),
    "noise floor": ("|", s.INK, True),
    "no verdict": ("x", s.INK, True),
}
"""Of an outcome: marker, colour, whether it is filled."""


@s.styled
def forest(table: pd.DataFrame, metric: Metric, against: Baseline = NONE) -> Figure:
    """Draw the paired difference of each technique to the baseline.

    The thick line is the 95% interval of the technique looked at alone, the thin one that of all
    intervals together. The best are on top. What lies far beyond the others ends in an arrow, so
    that one failure does not flatten the rest; its numbers stand beside it, as all others' do.

    Args:
        table: of a comparison, one dataset and setting.
    """
    rows = table[~against.rows(table)].sort_values(
        "difference", ascending=metric.lower_is_better, na_position="last", kind="stable"
    )
    names = ["difference", "low", "high", "simultaneous_low", "simultaneous_high"]
    values = rows[names].to_numpy(dtype=float) * metric.unit.factor
    figure, axes = s.single(7.6, 1.5 + 0.21 * max(len(rows), 2))
    low, high = _range(values)
    digits = _digits(values)
    axes.axvline(0, color=s.INK, linewidth=1)
    for place, (line, (_, row)) in enumerate(zip(values, rows.iterrows(), strict=True)):
        _interval(axes, place, line[3:], (low, high), 1.0)
        _interval(axes, place, line[1:3], (low, high), 2.8)
        marker, colour, filled = LOOKS.get(row["outcome"], LOOKS["no verdict"])
        if np.isfinite(line[0]):
            inside = float(np.clip(line[0], low, high))
            face = colour if filled else "none"
            beyond = inside != line[0]
            axes.plot(
                inside,
                place,
                marker=("<" if line[0] < low else ">") if beyond else marker,
                color=colour,
                markerfacecolor=face,
                markersize=5.5,
                linestyle="none",
                zorder=4,
                clip_on=False,
            )
        axes.text(
            1.02, place, _numbers(line, digits, int(row["pairs"])),
            transform=axes.get_yaxis_transform(), va="center", fontsize=7,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), s.distinct(rows["label"]))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(low, high)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(s.difference_label(metric, against))
    title = f"Difference of {s.measured(metric.name)} to {against}"
    axes.set_title(s.wrapped(s.entitled(title, table)), fontsize=10)
    _legend(figure, set(rows["outcome"]))
    return figure


def _range(values: np.ndarray) -> tuple[float, float]:
    """Limits of the axis: all intervals but those far beyond the rest, and zero."""
    finite = values[np.isfinite(values).all(axis=1)] if len(values) else values
    points = values[:, 0][np.isfinite(values[:, 0])] if len(values) else np.zeros(0)
    most = usual(np.abs(finite).max(axis=1) if len(finite) else points)
    if most == 0:
        return -1.0, 1.0
    shown = np.concatenate([np.clip(finite, -most, most).ravel(), np.clip(points, -most, most)])
    low, high = min(float(shown.min()), 0.0), max(float(shown.max()), 0.0)
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def _interval(
    axes: Axes, place: int, ends: np.ndarray, shown: tuple[float, float], width: float
) -> None:
    if not np.isfinite(ends).all() or ends[1] < shown[0] or ends[0] > shown[1]:
        return
    low, high = np.clip(ends, *shown)
    alpha = s.FAINT if width > 2 else 1.0
    axes.plot([low, high], [place, place], color=s.INK, linewidth=width, alpha=alpha,
              solid_capstyle="butt")  # fmt: skip


def _digits(values: np.ndarray) -> int:
    """After the point of all numbers: those of the row whose largest number is the usual one."""
    sizes = [np.abs(line[:3][np.isfinite(line[:3])]).max(initial=0.0) for line in values]
    known = [size for size in sizes if size > 0]
    return int(np.clip(2 - np.floor(np.log10(np.median(known))), 0, 8)) if known else 2


def _numbers(line: np.ndarray, digits: int, pairs: int) -> str:
    """`+0.42 [0.15, 0.69]  n = 10`; an interval that leaves out zero has the digits for it."""
    if not np.isfinite(line[0]):
        return f"no difference known  n = {pairs}"
    if not np.isfinite(line[1:3]).all():
        return f"{s.signed(line[0], digits)}  n = {pairs}"
    ends, digits = interval_text(line[1], line[2], digits, PLAIN, sign=True, between=", ")
    return f"{s.signed(line[0], digits)} [{ends}]  n = {pairs}"


def _legend(figure: Figure, outcomes: set[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=marker, color=colour, linestyle="none", markersize=5.5, label=name,
               markerfacecolor=colour if filled else "none")
        for name, (marker, colour, filled) in LOOKS.items() if name in outcomes
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=s.INK, linewidth=2.8, alpha=s.FAINT, label="95% interval"),
        Line2D([], [], color=s.INK, linewidth=1.0, label="95%, all together"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6, fontsize=7)
