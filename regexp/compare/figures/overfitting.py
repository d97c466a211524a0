"""What overfitting looks like: the baseline's losses, and where to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from regexp.compare.baseline import NONE, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.learning import by_epoch, runs_of, style_of
from regexp.compare.figures.scales import limits, spread
from regexp.compare.table import FINISHED
from regexp.metrics import names

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LOSSES = {
    names.EPOCH_TRAINING_LOSS: ("training loss", s.VERMILION),
    names.EPOCH_VALIDATION_LOSS: ("validation loss", s.BLUE),
}


@s.styled
def overfitting(curves: pd.DataFrame, runs: pd.DataFrame, against: Baseline = NONE) -> Figure:
    """Draw training and validation loss of the baseline against the epoch.

    Every seed is a thin line, their mean a thick one. The epoch where the mean validation loss is
    least is marked, and so is, for each technique whose runs ended sooner than the baseline's, the
    median epoch of their end.

    Args:
        curves: from `compare.curves`, of one dataset and setting.
        runs: from `Tracker.runs`, of the same; their epochs tell where they ended.
    """
    baseline = curves[against.rows(curves)]
    if len(baseline):  # of a grid, the first
        baseline = baseline[baseline["variant"] == baseline["variant"].iloc[0]]
    figure, axes = s.single(6.6, 4.4)
    for metric, (label, colour) in _LOSSES.items():
        wide, _ = by_epoch(baseline, metric)
        if wide.empty:
            continue
        line = style_of(metric)
        for seed in wide:
            axes.plot(wide.index, wide[seed], color=colour, linewidth=0.6, alpha=0.6,
                      linestyle=line)  # fmt: skip
        mean = wide.mean(axis=1)
        axes.plot(
            mean.index, mean, color=colour, linewidth=2.4, linestyle=line,
            label=f"{label}, mean of {wide.shape[1]} seed{'' if wide.shape[1] == 1 else 's'}",
        )  # fmt: skip
        if metric == names.EPOCH_VALIDATION_LOSS and mean.notna().any():
            best = int(mean.index[int(np.nanargmin(mean))])
            axes.axvline(best, color=s.INK, linewidth=1)
            axes.plot(
                best, mean[best], marker="o", color=s.INK, markersize=7, linestyle="none", zorder=5,
                label=f"least validation loss: epoch {best}",
            )  # fmt: skip
    losses = baseline[baseline["metric"].isin(list(_LOSSES))]
    if range_ := limits(losses["value"], runs_of(losses)):
        axes.set_ylim(*range_)
    _stops(axes, runs, against)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    figure.suptitle(s.wrapped(s.entitled(f"Losses of {against}", curves)))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=2)
    return figure


def stops(runs: pd.DataFrame, against: Baseline = NONE) -> pd.Series:
    """The median epoch at which runs ended, of techniques that ended sooner than the baseline.

    Args:
        runs: from `Tracker.runs`, of one dataset and setting.

    Returns:
        Epochs by label, in their order.
    """
    epochs = names.column(names.EPOCHS)
    if epochs not in runs:
        return pd.Series(dtype=float)
    done = runs[runs["status"] == FINISHED]
    full = done.loc[against.rows(done), epochs].median()
    ended = done[~against.rows(done)].groupby("label")[epochs].median()
    return ended[ended < full].sort_values(kind="stable")


def _stops(axes: Axes, runs: pd.DataFrame, against: Baseline) -> None:
    ended = stops(runs, against)
    if ended.empty:
        return
    low, high = axes.get_xlim()
    gap = 0.035 * (high - low)
    shown = s.distinct(ended.index, 28)
    for name, epoch, place in zip(shown, ended, spread(list(ended), gap), strict=True):
        axes.axvline(epoch, color=s.INK, linewidth=1.1, linestyle=(0, (1, 1.5)))
        axes.annotate(
            f"{name}: {epoch:g}",
            xy=(epoch, 1), xytext=(place, 1.05), xycoords=axes.get_xaxis_transform(),
            textcoords=axes.get_xaxis_transform(), rotation=40, fontsize=7, ha="left", va="bottom",
            rotation_mode="anchor",
            arrowprops={"arrowstyle": "-", "color": s.INK, "linewidth": 0.6, "shrinkA": 0,
                        "shrinkB": 0},
        )  # fmt: skip
    axes.set_xlim(low, high)
