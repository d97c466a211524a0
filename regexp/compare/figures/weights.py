"""Histograms of weights: what a technique does to their sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.baseline import NONE, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.distributions import (
    SMALL,
    PooledWeights,
    by_key,
    labels,
    pooled_weights,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@s.styled
def weights(diagnostics: pd.DataFrame, against: Baseline = NONE) -> Figure:
    """Draw the histogram of the sizes of the weights, one panel a technique.

    The baseline is the line over it. Exact zeros have no place on the axis: their share, and that
    of all that are small, is written.

    Args:
        diagnostics: from `compare.diagnostics`, of one dataset and setting.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    contents = by_key(diagnostics, "weights", against)
    pooled = {key: pooled_weights(parts) for key, parts in contents.items()}
    names = labels(diagnostics)
    figure, panels = s.panels(len(pooled))
    _axis(panels[0], list(pooled.values()))
    titles = s.distinct(names[key] for key in pooled)
    for panel, (key, pool), name in zip(panels, pooled.items(), titles, strict=False):
        panel.stairs(pool.shares * 100, pool.edges, fill=True, color=s.BLUE, alpha=0.45)
        reference = against.of(key, pooled)
        if reference and reference != key:
            panel.stairs(pooled[reference].shares * 100, pooled[reference].edges, color=s.INK,
                         linewidth=1.1)  # fmt: skip
        panel.set_title(name)
        panel.text(
            0.03, 0.96, f"zeros {percent(pool.zeros)}\nbelow {SMALL:g}: {percent(pool.small)}",
            transform=panel.transAxes, va="top", fontsize=7,
        )  # fmt: skip
    handles = [
        Patch(color=s.BLUE, alpha=0.45, label=f"the {against.kind}"),
        Line2D([], [], color=s.INK, linewidth=1.1, label=str(against)),
    ]
    title = s.entitled("Sizes of the weights at the end of training", diagnostics)
    s.around(figure, title=title, x="|w|", y="share of the weights (%)", handles=handles)
    return figure


def percent(share: float) -> str:
    """A share in percent; what is more than nothing is not written as nothing."""
    if np.isnan(share):
        return "unknown"
    if 0 < share < 0.001:
        return "below 0.1%"
    if 0.999 < share < 1:
        return "above 99.9%"
    return f"{share:.1%}"


def _axis(panel: Axes, pooled: list[PooledWeights]) -> None:
    """The sizes that any weight has, and head room for the text."""
    if not pooled:
        return
    used = np.nonzero(np.nansum([pool.shares for pool in pooled], axis=0))[0]
    if not len(used):
        return
    edges = pooled[0].edges
    low, high = float(edges[used[0]]), float(edges[used[-1] + 1])
    panel.set_xlim(low - 0.1, high + 0.1)
    whole = np.arange(np.ceil(low), np.floor(high) + 1)
    whole = whole[:: max(1, -(-len(whole) // 6))]
    panel.set_xticks(whole, [f"{10.0**power:g}" for power in whole])
    highest = max(float(np.nanmax(pool.shares)) for pool in pooled) * 100
    panel.set_ylim(0, highest * 1.35 or 1)
