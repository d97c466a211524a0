"""Pictures of tables: features against each other, and the targets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from regexp.compare.figures import style as s
from regexp.dataset.base import CLASSIFICATION, MULTILABEL
from regexp.random import Rng

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from regexp.dataset.base import Data

FEATURES = 8
ROWS = 500
"""Features and rows of a pairplot, at most."""
CLASSES = 10
"""Classes with a marker of their own."""
CORRELATED = 4
"""Features that a regression's target is held against."""


@s.styled
def features(data: Data, seed: int) -> Figure:
    """Draw the features of the training rows against each other, classes by marker and colour.

    They are as the network sees them, after preprocessing.
    """
    split = data.train
    rows = sampled(len(split), seed)
    inputs = _values(split.inputs, rows)[:, :FEATURES]
    names = [_name(data, index) for index in range(inputs.shape[1])]
    total = split.inputs.shape[1]
    which = f"the first {len(names)} of {total} features" if total > len(names) else "all features"
    many = f"{len(rows)} of {len(split)}" if len(rows) < len(split) else f"all {len(split)}"
    title = f"{data.name}: {which} as the network sees them, {many} training rows"
    groups = None
    if data.task == CLASSIFICATION:
        groups = split.targets[rows].numpy()
    return pairplot(inputs, names, title, groups, data.classes)


@s.styled
def targets(data: Data, seed: int) -> Figure:
    """Draw the targets.

    Several a row, or one number: against each other, and the one number against the features that
    it correlates with most. Classes and labels: how many rows each split has of each.
    """
    if data.task in (CLASSIFICATION, MULTILABEL):
        return _classes(data)
    split = data.train
    rows = sampled(len(split), seed)
    values = _original(data, split.targets[rows].numpy())
    outputs = values.shape[1]
    names = ["target"] if outputs == 1 else [f"target {index + 1}" for index in range(outputs)]
    title = f"{data.name}: the targets of {len(rows)} of {len(split)} training rows"
    if outputs == 1 and len(split.inputs.shape) == 2:
        inputs = _values(split.inputs, rows)
        best = most_correlated(inputs, values[:, 0])
        values = np.column_stack([values, inputs[:, best]])
        names += [_name(data, index) for index in best]
        which = "feature" if len(best) == 1 else f"{len(best)} features"
        title = (
            f"{data.name}: the target and the {which} that it correlates with most, "
            f"{len(rows)} of {len(split)} training rows"
        )
    elif outputs > FEATURES:
        title = f"{title}, the first {FEATURES} of {outputs}"
    return pairplot(values[:, :FEATURES], names[:FEATURES], title)


def _name(data: Data, index: int) -> str:
    """Of a feature; a dataset may have none."""
    return data.features[index] if index < len(data.features) else f"feature {index + 1}"


def sampled(count: int, seed: int) -> np.ndarray:
    """At most `ROWS` of so many rows, in order, drawn from the run's stream."""
    if count <= ROWS:
        return np.arange(count)
    return np.sort(Rng(seed, "illustrate", "rows").permutation(count)[:ROWS].numpy())


def most_correlated(inputs: np.ndarray, target: np.ndarray) -> list[int]:
    """The features that correlate with the target most, in either direction, the most first."""
    centred = inputs - inputs.mean(axis=0)
    other = target - target.mean()
    sizes = np.sqrt((centred**2).sum(axis=0) * (other**2).sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        strength = np.nan_to_num(np.abs(centred.T @ other) / sizes)
    return [int(index) for index in np.argsort(-strength, kind="stable")[:CORRELATED]]


def pairplot(
    values: np.ndarray,
    names: Sequence[str],
    title: str,
    groups: np.ndarray | None = None,
    classes: Sequence[str] = (),
) -> Figure:
    """Every two columns against each other below the diagonal, histograms on it.

    Args:
        values: [rows, columns].
        names: of the columns.
        title: of the figure.
        groups: the class of each row; None for no classes.
        classes: names of the classes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = values.shape[1]
    size = (1.35 if count > 3 else 2.2) * count + 1.2
    beside = 1.6 if count == 1 and groups is not None else 0.0  # no room above a diagonal
    width, size = max(size, 4.5) + beside, max(size, 4.5)
    figure = Figure(figsize=(width, size))
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(count, count, squeeze=False, sharex="col")
    looks = _looks(groups, classes)
    for row, column in np.ndindex(count, count):
        axes: Axes = panels[row, column]
        if column > row:
            axes.remove()
            continue
        axes.grid(visible=False)
        axes.locator_params(nbins=3)
        bins = np.histogram_bin_edges(values[:, row], 20).tolist()
        for (members, _, colour, marker), dash in zip(looks, cycle(s.DASHES), strict=False):
            if row == column:
                axes.hist(values[members, row], bins=bins, histtype="step", color=colour,
                          linewidth=1, linestyle=dash)  # fmt: skip
            else:
                axes.plot(
                    values[members, column], values[members, row], linestyle="none",
                    marker=marker, markersize=2.4, color=colour, alpha=0.6, markeredgewidth=0.5,
                    markerfacecolor="none",
                )  # fmt: skip
        if row == column:
            axes.tick_params(labelleft=False, left=False)
        elif column == 0:
            axes.set_ylabel(s.short(str(names[row]), 20), fontsize=7)
        else:
            axes.tick_params(labelleft=False)
        if row == count - 1:
            axes.set_xlabel(s.short(str(names[column]), 20), fontsize=7)
    figure.subplots_adjust(
        left=0.75 / width, right=1 - (0.1 + beside) / width, bottom=0.5 / size,
        top=1 - 0.55 / size,
        wspace=0.12, hspace=0.12,
    )  # fmt: skip
    figure.suptitle(s.wrapped(title, max(40, round(11 * width))), y=1 - 0.1 / size, va="top")
    if groups is not None:
        _legend(figure, looks, (1 - 0.1 / width, 1 - 0.6 / size))
    return figure


Look = tuple[np.ndarray | slice, str, str, str]
"""The rows of a class, its name, colour and marker."""


def _looks(groups: np.ndarray | None, classes: Sequence[str]) -> list[Look]:
    """Of each class; those beyond the last marker are drawn alike."""
    if groups is None:
        return [(slice(None), "", s.BLUE, "o")]
    names = [s.short(str(name), 20) for name in classes[:CLASSES]]
    looks: list[Look] = [
        (groups == index, *look)
        for index, look in enumerate(
            zip(names, cycle((*s.COLOURS, s.INK)), s.MARKERS, strict=False)
        )
    ]
    if more := len(classes) - len(names):
        looks.append((groups >= CLASSES, f"{more} more", s.INK, "."))
    return looks


def _legend(figure: Figure, looks: Sequence[Look], corner: tuple[float, float]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markerfacecolor="none",
               label=name)
        for _, name, colour, marker in looks
    ]  # fmt: skip
    figure.legend(handles=handles, loc="upper right", bbox_to_anchor=corner)


def _classes(data: Data) -> Figure:
    """Bars: the rows of each class, or label, in each split."""
    count = len(data.classes)
    kind = "classes" if data.task == CLASSIFICATION else "labels"
    splits = {"training": data.train, "validation": data.validation, "test": data.test}
    figure, axes = s.single(max(4.5, min(1.5 + 0.5 * count, 40)), 3.4)
    hatches = ("", "///", "...")
    for place, (name, split) in enumerate(splits.items()):
        labelled = split.targets.numpy()
        rows = (
            np.bincount(labelled, minlength=count)
            if data.task == CLASSIFICATION
            else np.nansum(labelled > 0.5, axis=0)
        )
        share = rows / max(len(split), 1) * 100
        axes.bar(
            np.arange(count) + (place - 1) * 0.27, share, width=0.25, color=s.COLOURS[place],
            alpha=0.75, hatch=hatches[place], edgecolor=s.INK, linewidth=0.4,
            label=f"{name} ({len(split)} rows)",
        )  # fmt: skip
    slanted: dict[str, Any] = {}
    if sum(len(name) + 2 for name in data.classes) > 60:
        slanted = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(count), [s.short(str(name), 24) for name in data.classes], **slanted)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("share of the split's rows (%)")
    axes.set_title(s.wrapped(f"{data.name}: {kind} of the first seed's splits"), fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=7)
    return figure


def _original(data: Data, values: np.ndarray) -> np.ndarray:
    """Targets in their own unit, [rows, outputs]."""
    if (scale := data.target_scale) is None:
        return values
    return values * np.array(scale.scale) + np.array(scale.mean)


def _values(inputs: Any, rows: np.ndarray) -> np.ndarray:
    """Some rows of the inputs, which may be read only now."""
    import torch

    return inputs.index_select(0, torch.from_numpy(rows)).numpy()
