"""Learning curves: one panel a technique, averaged over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from regexp.compare.baseline import KEYS, NONE, Baseline, Key
from regexp.compare.figures import style as s
from regexp.compare.figures.scales import limits
from regexp.metrics.names import EPOCH_TRAINING_LOSS, EPOCH_VALIDATION_LOSS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

BAND = 200
"""Epochs at which a band is drawn, at most: its outline is not simplified as lines are."""


@s.styled
def learning_curves(
    curves: pd.DataFrame,
    *,
    metrics: Sequence[str] = (EPOCH_TRAINING_LOSS, EPOCH_VALIDATION_LOSS),
    against: Baseline = NONE,
) -> Figure:
    """Draw one panel a technique, with the baseline behind it.

    The line is the mean over seeds, the band one standard deviation around it. A run that has
    stopped counts with its last value, and the line is dotted from the first stop on: a mean of
    those that still train would favour the seeds that do well for long.

    Args:
        curves: from `compare.curves`, of one dataset and setting.
        metrics: of one kind, as they share an axis; training first.
    """
    values = curves[curves["metric"].isin(metrics)]
    parts = {cast("Key", key): part for key, part in values.groupby(KEYS, sort=False)}
    keys = sorted(parts, key=lambda key: not against.has(*key[2:]))  # stable: the baseline first
    figure, panels = s.panels(len(keys))
    # before anything is drawn: scaling so many shared axes anew takes long
    if range_ := limits(values["value"], runs_of(values)):
        panels[0].set_ylim(*range_)
        last = float(values["step"].max())
        panels[0].set_xlim(-0.03 * last, 1.03 * last)
    wide = {key: {metric: by_epoch(part, metric) for metric in metrics}
            for key, part in parts.items()}  # fmt: skip
    titles = s.distinct(parts[key]["label"].iloc[0] for key in keys)
    for panel, key, name in zip(panels, keys, titles, strict=False):
        reference = against.of(key, keys)
        if reference and reference != key:
            _draw(panel, wide[reference], colour=s.INK, band=False)
        _draw(panel, wide[key], colour=s.BLUE, band=True)
        panel.set_title(name)
    kinds = sorted({s.measured(metric).split(" ", 1)[-1] for metric in metrics})
    title = s.entitled(f"Learning curves, {' and '.join(kinds)}", curves)
    s.around(figure, title=title, x="epoch", y=", ".join(kinds), handles=_handles(metrics, against))
    return figure


def by_epoch(values: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, pd.Series]:
    """A metric of one technique by epoch and seed, and at which epochs a seed has stopped.

    Returns:
        [epochs, seeds], where a run that has stopped keeps its last value; [epochs].
    """
    wide = (
        values[values["metric"] == metric]
        .pivot_table(index="step", columns="seed", values="value", aggfunc="last", dropna=False)
        .sort_index()
    )
    stopped = wide.isna().any(axis=1)  # no value is missing before a run's last one
    return wide.ffill(), stopped


def runs_of(values: pd.DataFrame) -> pd.Series:
    """A number for each row of curves, the same for all of one run."""
    return values.groupby([*KEYS, "seed"], sort=False, dropna=False).ngroup()


def style_of(metric: str) -> Literal["--", "-"]:
    """Dashed for training, solid for the rest."""
    return "--" if metric == EPOCH_TRAINING_LOSS else "-"


def _draw(
    panel: Axes, metrics: Mapping[str, tuple[pd.DataFrame, pd.Series]], *, colour: str, band: bool
) -> None:
    behind = 1.0 if band else s.FAINT
    for metric, (wide, stopped) in metrics.items():
        if wide.empty:
            continue
        mean, std = wide.mean(axis=1), wide.std(axis=1)
        whole = mean[~stopped]
        look: dict[str, Any] = {"color": colour, "linewidth": 1.3, "alpha": behind}
        panel.plot(whole.index, whole, linestyle=style_of(metric), **look)
        if stopped.any():
            tail = mean[max(len(whole) - 1, 0) :]
            panel.plot(tail.index, tail, linestyle=":", **look)
        if band and wide.shape[1] > 1:
            every = -(-len(mean) // BAND)
            lower, upper = (mean - std)[::every], (mean + std)[::every]
            panel.fill_between(lower.index, lower, upper, color=colour, alpha=0.18, linewidth=0)


def _handles(metrics: Sequence[str], against: Baseline) -> list[Line2D]:
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], color=s.BLUE, linestyle=style_of(name), label=s.measured(name))
        for name in metrics
    ]
    lines.append(Line2D([], [], color=s.INK, alpha=s.FAINT, label=f"the same of {against}"))
    return [*lines, Line2D([], [], color=s.BLUE, linestyle=":", label="some seeds have stopped")]
