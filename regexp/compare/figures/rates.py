"""Learning rates, as recorded by epoch or simulated by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from regexp.compare.figures import style as s
from regexp.metrics.names import LEARNING_RATE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

MOST = 20
"""Lines that can be told apart."""


@dataclass
class Rate:
    """A learning rate that several rows of a comparison share.

    Attributes:
        steps: epochs or steps, rising.
        values: the learning rate at each.
        rows: (setting, label) of those that have it.
    """

    steps: np.ndarray
    values: np.ndarray
    rows: list[tuple[str, str]]


@s.styled
def rates(curves: pd.DataFrame) -> Figure:
    """Draw the learning rate against the epoch, one line for each that differs.

    Where the seeds of a technique have their own, as with a schedule that follows the validation
    loss, their mean is drawn. Runs that stopped early share the line of those that went on.

    Args:
        curves: from `compare.curves`, of one dataset.
    """
    distinct = recorded(curves)
    rows = [row for rate in distinct for row in rate.rows]
    names = [named(rate.rows, rows) for rate in distinct]
    lines = [(rate.steps, rate.values, name) for rate, name in zip(distinct, names, strict=True)]
    return lines_of(
        lines, s.entitled("Learning rate of the last step of each epoch", curves), "epoch"
    )


def recorded(curves: pd.DataFrame) -> list[Rate]:
    """The distinct learning rates by epoch, with the rows that have them."""
    learning_rates = curves[curves["metric"] == LEARNING_RATE]
    means = []
    for key, part in learning_rates.groupby(["setting", "label"], sort=False):
        mean = part.groupby("step")["value"].mean()
        means.append((cast("tuple[str, str]", key), mean.index.to_numpy(), mean.to_numpy()))
    distinct: list[Rate] = []
    for row, steps, values in sorted(means, key=lambda mean: -len(mean[1])):  # the longest first
        same = (rate for rate in distinct if _begins(rate, steps, values))
        if rate := next(same, None):
            rate.rows.append(row)
        else:
            distinct.append(Rate(steps, values, [row]))
    return distinct


def _begins(rate: Rate, steps: np.ndarray, values: np.ndarray) -> bool:
    count = len(steps)
    return np.array_equal(rate.steps[:count], steps) and np.allclose(
        rate.values[:count], values, rtol=1e-6, atol=0
    )


def named(rows: Sequence[tuple[str, str]], of: Sequence[tuple[str, str]]) -> str:
    """What tells some rows from all others: their settings, or the techniques as well.

    Args:
        rows: (setting, label).
        of: all of them.
    """
    settings = list(dict.fromkeys(setting for setting, _ in rows))
    labels = list(dict.fromkeys(label for _, label in rows))
    whole = len(rows) == sum(setting in settings for setting, _ in of)
    parts = (
        [setting or "default" for setting in settings]
        if len({setting for setting, _ in of}) > 1
        else []
    )
    if not whole or not parts:
        everyone = len(labels) == len({label for _, label in of})
        parts.append("all techniques" if everyone else _listed(labels))
    return s.short("; ".join(parts), 70)


def _listed(labels: Sequence[str]) -> str:
    return (
        ", ".join(labels)
        if len(labels) <= 3
        else f"{', '.join(labels[:2])} and {len(labels) - 2} more"
    )


def lines_of(lines: Sequence[tuple[Any, Any, str]], title: str, x: str) -> Figure:
    """Draw learning rates, each with a line style and colour of its own.

    Args:
        lines: (steps, values, name).
        title: of the figure.
        x: what is counted on the x axis.
    """
    figure, axes = s.single(6.8, 3.4 + 0.17 * ((min(len(lines), MOST) + 1) // 2))
    looks = cycle(
        (dash, colour) for shift in range(len(s.DASHES)) for dash, colour in _pairs(shift)
    )
    for count, (steps, values, name) in enumerate(lines):
        dash, colour = next(looks)
        known = count < MOST
        axes.plot(
            steps, values,
            color=colour if known else s.INK, linestyle=dash if known else "-",
            linewidth=1.6 if known else 0.6, alpha=1 if known else 0.3,
            label=name if known else None, drawstyle="default",
        )  # fmt: skip
    axes.set_ylim(bottom=-0.02 * axes.get_ylim()[1])
    axes.set_xlabel(x)
    axes.set_ylabel("learning rate")
    axes.set_title(s.wrapped(title), fontsize=10)
    if lines:
        figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure


def _pairs(shift: int) -> Sequence[tuple[Any, str]]:
    """Line styles and colours that both change from line to line."""
    colours = (*s.COLOURS, s.INK)
    return [(s.DASHES[(place + shift) % len(s.DASHES)], colours[place]) for place in range(5)]
