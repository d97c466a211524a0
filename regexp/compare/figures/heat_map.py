"""All differences at a glance: techniques by datasets and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regexp.compare.baseline import FAMILY, NONE, Baseline
from regexp.compare.figures import style as s
from regexp.compare.figures.scales import usual
from regexp.compare.metric import Metric
from regexp.compare.table import CLAIMS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure


@s.styled
def heat_map(table: pd.DataFrame, metric: Metric, against: Baseline = NONE) -> Figure:
    """Draw the difference of each technique to the baseline on each dataset and setting.

    Blue is better, red is worse, and the number says how much; verdicts that are claims are bold
    and framed. What is far beyond the others shares the last colour, so that the others are seen.
    """
    from matplotlib.colors import Normalize
    from matplotlib.patches import Rectangle

    lower, unit = metric.lower_is_better, metric.unit
    values, claims = cells(table, lower_is_better=lower)
    numbers = values.to_numpy(dtype=float) * unit.factor
    rows, columns = numbers.shape
    figure, axes = s.single(2.6 + 0.85 * max(columns, 3), 1.7 + 0.235 * max(rows, 2))
    finite = np.abs(numbers[np.isfinite(numbers)])
    most = usual(finite) or 1.0
    colours = _map().reversed() if lower else _map()
    norm = Normalize(-most, most)
    image = axes.imshow(np.ma.masked_invalid(numbers), cmap=colours, norm=norm, aspect="auto")
    for row in range(rows):
        for column in range(columns):
            value = numbers[row, column]
            claim = bool(claims.iat[row, column])
            known = np.isfinite(value)
            ink = "white" if known and abs(value) / most > 0.72 else "black"
            axes.text(
                column, row, _written(value, numbers) if known else "–", ha="center", va="center",
                fontsize=7, fontweight="bold" if claim else "normal",
                color=ink if known else s.INK,
            )  # fmt: skip
            if claim:
                axes.add_patch(
                    Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, fill=False, linewidth=1.6,
                              edgecolor=ink)
                )  # fmt: skip
    axes.set_yticks(range(rows), s.distinct(values.index))
    places = s.distinct((" ".join(filter(None, map(str, place))) for place in values.columns), 30)
    axes.set_xticks(range(columns), places, rotation=30, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, extend="both" if (finite > most).any() else "neither",
                          fraction=0.05, aspect=30, shrink=0.9)  # fmt: skip
    measured = s.measured(metric.name)
    bar.set_label(unit.name or "difference")
    title = f"Difference of {measured} to {against}; bold and framed: helps or hurts"
    figure.suptitle(s.wrapped(title, max(40, int(figure.get_figwidth() * 10))))
    return figure


def cells(table: pd.DataFrame, *, lower_is_better: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The differences, and whether the verdict is a claim: [labels, (dataset, setting)].

    Rows are ordered by their mean difference, the best first.
    """
    rows = table[table["outcome"] != "baseline"].drop_duplicates([*FAMILY, "label"])
    places = list(dict.fromkeys(zip(table["dataset"], table["setting"], strict=True)))
    wide = rows.pivot(index="label", columns=FAMILY, values="difference")
    wide = wide.reindex(columns=places)
    order = wide.mean(axis=1).sort_values(
        ascending=lower_is_better, na_position="last", kind="stable"
    )
    claims = rows.assign(claim=rows["outcome"].isin(CLAIMS))
    marks = claims.pivot(index="label", columns=FAMILY, values="claim")
    marks = marks.reindex(index=order.index, columns=places)
    return wide.loc[order.index], marks.eq(True)


def _map() -> Colormap:
    """From red by white to blue, its ends dark enough for white letters."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "difference", ["#8c2d04", "#e0803a", "#f7f2ea", "#4f94cd", "#08366a"]
    )


def _written(value: float, numbers: np.ndarray) -> str:
    """With as many digits as the usual size of the differences asks for."""
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    typical = float(np.median(sizes)) if len(sizes) else 1.0
    digits = int(np.clip(1 - np.floor(np.log10(typical)), 0, 5))
    return s.signed(value, digits) if abs(value) < 1e6 else f"{value:+.1e}"
