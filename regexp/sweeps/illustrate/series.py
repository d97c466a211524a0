"""Pictures of series: what is forecast over time and some windows, or some of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.figures import style as s
from regexp.dataset.base import CLASSIFICATION

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regexp.dataset.base import Data, Split

MOST = 4000
"""Windows of a split whose targets are drawn, at most: evenly chosen."""

CLASSES, OF_EACH = 12, 3
"""Classes whose series are drawn, and series of each, at most."""


@s.styled
def series(data: Data, seed: int) -> Figure:
    """Draw some training series of each class, or with each label, as the network sees them.

    Args:
        data: with inputs [rows, time, channels] and classes.
        seed: not used: they are the first ones of a split that is shuffled by it.
    """
    import torch

    split, shown = data.train, data.classes[:CLASSES]
    one_each = data.task == CLASSIFICATION
    figure, panels = s.panels(len(shown))
    for place, (panel, name) in enumerate(zip(panels, s.distinct(shown), strict=False)):
        has = split.targets == place if one_each else split.targets[:, place] > 0.5
        rows = torch.nonzero(has).flatten()[:OF_EACH]
        for values, dash, colour in zip(
            split.inputs.index_select(0, rows).numpy(), s.DASHES, s.COLOURS, strict=False
        ):
            panel.plot(values[:, 0], color=colour, linestyle=dash, linewidth=1)
        panel.set_title(name)
    channels = split.inputs.shape[2]
    which = f"the first of {channels} channels of " if channels > 1 else ""
    kind, kinds = ("class", "classes") if one_each else ("label", "labels")
    of = f"each {kind}"
    if len(shown) < len(data.classes):
        of = f"{len(shown)} of {len(data.classes)} {kinds}"
    title = f"{data.name}: {which}{OF_EACH} training series of {of}"
    s.around(figure, title=title, x="time step", y="as the network sees it")
    return figure


@s.styled
def windows(data: Data, seed: int) -> Figure:
    """Draw the first target of every window in the order of time, and a window of each split.

    Args:
        data: with inputs [rows, time, channels].
        seed: not used, as a series is split by time.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3, height_ratios=[3, 2])
    axes = figure.add_subplot(grid[0, :])
    below = [figure.add_subplot(grid[1, place]) for place in range(3)]
    splits = {
        "training": (data.train, s.BLUE, "-"),
        "validation": (data.validation, s.VERMILION, (0, (4, 1))),
        "test": (data.test, s.GREEN, (0, (1, 0.7))),
    }
    start = 0
    for panel, (name, (split, colour, dash)) in zip(below, splits.items(), strict=True):
        x, y = over_time(data, split, start)
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1,
                  label=f"{name} ({len(split)} windows)")  # fmt: skip
        start += len(split)
        past, future = window(split, len(split) // 2)
        panel.plot(range(-len(past), 0), past, color=colour, linewidth=1.2)
        panel.plot(range(len(future)), future, color=s.INK, linestyle="none", marker="o",
                   markersize=3)  # fmt: skip
        panel.axvline(-0.5, color=s.INK, linewidth=0.8, linestyle=(0, (1, 1.5)))
        panel.set_title(f"a {name} window")
        panel.set_xlabel("steps from the forecast")
    below[0].set_ylabel("as the network sees it")
    axes.set_xlabel("window, in the order of time (those across a border are left out)")
    axes.set_ylabel("the first value to forecast")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    figure.suptitle(
        s.wrapped(f"{data.name}: what is forecast; below, inputs (lines) and targets (points)", 90)
    )
    return figure


def over_time(data: Data, split: Split, start: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of a split's windows and their first targets, in the targets' own unit."""
    every = -(-len(split) // MOST)
    values = split.targets.reshape(len(split), -1)[::every, 0].numpy().astype(float)
    if scale := data.target_scale:
        values = values * scale.scale[0] + scale.mean[0]
    return start + np.arange(0, len(split), every), values


def window(split: Split, row: int) -> tuple[np.ndarray, np.ndarray]:
    """The past (its last channel) and the targets of one window, as the network sees them."""
    import torch

    past = split.inputs.index_select(0, torch.tensor([row]))[0, :, -1].numpy()
    return past, split.targets[row].reshape(-1).numpy()
