"""Limits and scales of axes that what lies far beyond the rest does not stretch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAR = 10
"""Runs whose curves go so many times as far as those of others are beyond the limits of an axis."""


def limits(values: Any, runs: Any = None) -> tuple[float, float] | None:
    """Limits of an axis that runs which diverged do not stretch; None if nothing is finite.

    Args:
        values: of an axis.
        runs: to which run each belongs. Those that go far beyond the others do not count there.
    """
    numbers = np.asarray(values, dtype=float).ravel()
    finite = np.isfinite(numbers)
    if not finite.any():
        return None
    if runs is not None:
        middle = float(np.median(numbers[finite]))
        reach = np.where(finite, np.abs(numbers - middle), 0.0)
        _, run = np.unique(np.asarray(runs), return_inverse=True)
        most = np.zeros(int(run.max()) + 1)
        np.maximum.at(most, run, reach)
        finite &= reach <= FAR * np.quantile(most, 0.75, method="lower")
    low, high = np.quantile(numbers[finite], [0.005, 0.995])
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.05
    return float(low - margin), float(high + margin)


def usual(sizes: Any) -> float:
    """The largest of some sizes that is not far beyond the others: 3 times their upper quartile.

    Args:
        sizes: 0 or more; what is not finite is left out.

    Returns:
        0 where there is none.
    """
    known = np.asarray(sizes, dtype=float).ravel()
    known = known[np.isfinite(known) & (known > 0)]
    if not len(known):
        return 0.0
    return float(known[known <= 3 * np.quantile(known, 0.75)].max())


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Move positions as little as possible so that they lie `gap` apart, in their order.

    Args:
        wanted: positions of labels along a line.
        gap: at least so much between two.
    """
    from scipy.optimize import isotonic_regression

    if not wanted:
        return []
    values = np.asarray(wanted, dtype=float)
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    moved = np.empty(len(values))
    moved[order] = isotonic_regression(values[order] - steps).x + steps
    return [float(value) for value in moved]


def logarithmic(axes: Axes, suffix: str = "") -> None:
    """Make the x axis logarithmic, with plain numbers at its ticks."""
    from matplotlib import ticker

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    narrow = high / low < 8
    axes.xaxis.set_major_locator(
        ticker.MaxNLocator(6, steps=[1, 2, 2.5, 5, 10])
        if narrow
        else ticker.LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 1e3 else (1.0,))
    )
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}{suffix}"))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
