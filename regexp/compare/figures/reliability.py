"""Reliability diagrams: whether predictions are as sure as they may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.baseline import NONE, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.distributions import by_key, labels, pooled_reliability

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 4
FEW = 10
"""Predictions of a bin below which its accuracy says little: its marker is empty."""


@s.styled
def reliability(diagnostics: pd.DataFrame, against: Baseline = NONE) -> Figure:
    """Draw accuracy against confidence on the test split, one panel a technique.

    The bins of all seeds are pooled by their counts, which are the bars below: what share of the
    predictions is that sure. Above the diagonal predictions are surer than they claim, below it
    they claim too much.

    Args:
        diagnostics: from `compare.diagnostics`, of one dataset and setting.
    """
    from matplotlib.lines import Line2D

    contents = by_key(diagnostics, "reliability", against)
    pooled = {key: pooled_reliability(parts) for key, parts in contents.items()}
    names = labels(diagnostics)
    figure, panels = _panels(len(pooled))
    titles = s.distinct(names[key] for key in pooled)
    for (upper, lower), (key, pool), name in zip(panels, pooled.items(), titles, strict=True):
        upper.plot([0, 1], [0, 1], color=s.INK, linewidth=0.9, linestyle=(0, (1, 1.5)))
        reference = against.of(key, pooled)
        if reference and reference != key:
            other = pooled[reference]
            there = other.count > 0
            upper.plot(other.confidence[there], other.accuracy[there], color=s.INK, alpha=s.FAINT,
                       linewidth=1.3)  # fmt: skip
        there = pool.count > 0
        upper.plot(pool.confidence[there], pool.accuracy[there], color=s.BLUE, linewidth=1.3)
        for shown, face in (
            (pool.count >= FEW, s.BLUE),
            (there & (pool.count < FEW), "none"),
        ):
            upper.plot(
                pool.confidence[shown], pool.accuracy[shown], color=s.BLUE, marker="o",
                markersize=3.5, markerfacecolor=face, linestyle="none", clip_on=False,
            )  # fmt: skip
        upper.set_title(name)
        upper.text(0.04, 0.95, f"ECE {pool.error:.3f}", transform=upper.transAxes, va="top",
                   fontsize=7)  # fmt: skip
        share = pool.count / (pool.count.sum() or np.nan)
        lower.bar(pool.edges[:-1], share * 100, width=np.diff(pool.edges) * 0.9, align="edge",
                  color=s.BLUE, alpha=0.6)  # fmt: skip
    handles = [
        Line2D([], [], color=s.BLUE, marker="o", markersize=3, label=f"the {against.kind}"),
        Line2D([], [], color=s.BLUE, marker="o", markersize=3.5, markerfacecolor="none",
               linestyle="none", label=f"fewer than {FEW} predictions"),
        Line2D([], [], color=s.INK, alpha=s.FAINT, label=str(against)),
        Line2D([], [], color=s.INK, linewidth=0.9, linestyle=(0, (1, 1.5)),
               label="as sure as right"),
    ]  # fmt: skip
    s.around(
        figure,
        title=s.entitled("Reliability on the test split", diagnostics),
        x="confidence: the probability given to the predicted class",
        y="",
        handles=handles,
    )
    return figure


def _panels(count: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Panels of two axes: the diagram, and the bars below it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(_ACROSS, max(count, 1))
    down = max(math.ceil(count / across), 1)
    wide, high, head, foot, left = 2.7, 3.3, 0.85, 0.55, 0.6
    width, height = wide * across + left, high * down + head + foot
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    outer = figure.add_gridspec(
        down, across, left=left / width, right=1 - 0.1 / width, bottom=foot / height,
        top=1 - head / height, wspace=0.2, hspace=0.22,
    )  # fmt: skip
    panels: list[tuple[Axes, Axes]] = []
    for index in range(count):
        inner = outer[index // across, index % across].subgridspec(2, 1, height_ratios=[3, 1],
                                                                   hspace=0.1)  # fmt: skip
        upper = figure.add_subplot(inner[0])
        lower = figure.add_subplot(inner[1], sharex=upper)
        upper.set_xlim(0, 1)
        upper.set_ylim(0, 1)
        upper.tick_params(labelbottom=False)
        lower.set_ylim(0, 100)
        if index % across:
            upper.tick_params(labelleft=False)
            lower.tick_params(labelleft=False)
        else:
            upper.set_ylabel("accuracy", fontsize=8)
            lower.set_ylabel("share (%)", fontsize=8)
        if index + across < count:
            lower.tick_params(labelbottom=False)
        panels.append((upper, lower))
    return figure, panels
