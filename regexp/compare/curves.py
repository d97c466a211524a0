"""Learning curves: training and validation of every technique, averaged over seeds."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from regexp.compare.table import BASELINE, KEYS, Key, baseline

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from regexp.tracking import Tracker

METRICS = ("train/loss", "val/loss", "val/accuracy")

# Dark enough for print in grey; the line style tells train from validation, so colour is spare.
_COLOUR = "#1f4e9c"
_GREY = "0.6"
_ACROSS = 4
_PANEL = (3.0, 2.3)  # inches


def curves(
    tracker: "Tracker", runs: "pd.DataFrame", metrics: Sequence[str] = METRICS
) -> "pd.DataFrame":
    """Fetch the metrics of FINISHED runs by epoch.

    Returns:
        One row a value: dataset, setting, technique, variant, label, seed, metric, step, value.
    """
    import pandas as pd

    names = [*KEYS, "label", "seed"]
    rows = [
        [*(run[name] for name in names), metric, step, value]
        for _, run in runs[runs["status"] == "FINISHED"].iterrows()
        for metric in metrics
        for step, value in tracker.history(run["run_id"], metric)
    ]
    return pd.DataFrame(rows, columns=[*names, "metric", "step", "value"])


def learning_curves(
    curves: "pd.DataFrame", path: Path, *, metrics: Sequence[str] = ("train/loss", "val/loss")
) -> None:
    """Draw one panel a technique, with the baseline behind it in grey, and save the figure.

    The line is the mean over seeds, the band one standard deviation around it. A run that has
    stopped counts with its last value, and the line is dotted from the first stop on: a mean of
    those that still train would favour the seeds that do well for long.

    Args:
        curves: from `compare.curves`, of one dataset and setting.
        path: its ending chooses the format.
        metrics: of one kind, as they share an axis; training first.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = curves[curves["metric"].isin(metrics)]
    keys = [cast("Key", key) for key, _ in chosen.groupby(KEYS, sort=False)]
    keys.sort(key=lambda key: key[2] != BASELINE)  # stable: the baseline first
    across = min(_ACROSS, max(len(keys), 1))
    down = max(math.ceil(len(keys) / across), 1)
    figure = Figure(figsize=(_PANEL[0] * across, _PANEL[1] * down + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).ravel()
    for panel, key in zip(panels, keys, strict=False):
        reference = baseline(key, keys)
        if reference and reference != key:
            _draw(panel, _of(chosen, reference), metrics, colour=_GREY, band=False)
        own = _of(chosen, key)
        _draw(panel, own, metrics, colour=_COLOUR, band=True)
        panel.set_title(own["label"].iloc[0], fontsize=9, parse_math=False)
        panel.tick_params(labelsize=7)
        panel.grid(alpha=0.25)
    for index in range(len(keys), len(panels)):
        panels[index].set_visible(False)
        panels[index - across].tick_params(labelbottom=True)
    _limit(panels[0], chosen)
    figure.legend(handles=_handles(metrics), loc="outside upper center", ncols=4, fontsize=8)
    figure.supxlabel("epoch", fontsize=9)
    figure.supylabel(metrics[0].rpartition("/")[2], fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _of(values: "pd.DataFrame", key: Key) -> "pd.DataFrame":
    return values[(values[KEYS] == list(key)).all(axis=1)]


def _draw(
    panel: "Axes", values: "pd.DataFrame", metrics: Sequence[str], *, colour: str, band: bool
) -> None:
    for metric in metrics:
        wide = (
            values[values["metric"] == metric]
            .pivot_table(index="step", columns="seed", values="value", aggfunc="last")
            .sort_index()
        )
        if wide.empty:
            continue
        stopped = wide.isna().any(axis=1)  # no value is missing before a run's last one
        wide = wide.ffill()
        mean, std = wide.mean(axis=1), wide.std(axis=1)
        whole = mean[~stopped]
        panel.plot(whole.index, whole, color=colour, linewidth=1.3, linestyle=_style(metric))
        if stopped.any():
            tail = mean[len(whole) - 1 :]
            panel.plot(tail.index, tail, color=colour, linewidth=1.3, linestyle=":")
        if band and wide.shape[1] > 1:
            lower, upper = mean - std, mean + std
            panel.fill_between(mean.index, lower, upper, color=colour, alpha=0.18, linewidth=0)


def _style(metric: str) -> Literal["--", "-"]:
    return "--" if metric.startswith("train/") else "-"


def _limit(panel: "Axes", values: "pd.DataFrame") -> None:
    """Keep one diverged run from flattening all other curves."""
    finite = values["value"][values["value"].abs() < math.inf]
    if finite.empty:
        return
    low, high = float(finite.quantile(0.005)), float(finite.quantile(0.995))
    margin = 0.05 * (high - low) or 0.05
    panel.set_ylim(low - margin, high + margin)


def _handles(metrics: Sequence[str]) -> "list[Line2D]":
    from matplotlib.lines import Line2D

    lines = [Line2D([], [], color=_COLOUR, linestyle=_style(name), label=name) for name in metrics]
    lines.append(Line2D([], [], color=_GREY, label=f"the same of {BASELINE}"))
    return [*lines, Line2D([], [], color=_COLOUR, linestyle=":", label="some seeds have stopped")]
