"""Critical-difference diagram: average ranks over datasets, and which of them differ."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare import across
from regexp.compare.figures import style as s
from regexp.compare.statistics import ALPHA
from regexp.compare.table import BASELINE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@s.styled
def critical_difference(
    scores: pd.DataFrame, lower_is_better: bool = False, stars: Collection[str] | None = None
) -> Figure:
    """Draw the average ranks of the techniques, the best on the left.

    A bar joins techniques that Nemenyi's test cannot tell apart: their ranks are closer than the
    critical difference. It has little power for many techniques, so those that differ from the
    baseline by Wilcoxon's test, corrected after Holm, are marked with a star as well.

    Args:
        scores: [datasets, techniques], averaged over seeds; only complete techniques are drawn.
        lower_is_better: True for errors and losses.
        stars: techniques that differ from the baseline; None to test for them here.
    """
    from scikit_posthocs import critical_difference_diagram

    whole = across.complete(scores)
    ranked = across.ranks(whole, lower_is_better=lower_is_better)
    ranks = ranked.mean()
    datasets, techniques = ranked.shape
    figure, axes = s.single(7.6, 1.6 + 0.13 * max(techniques, 4))
    if techniques < 2 or datasets < 2:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "It takes two techniques and two datasets.", ha="center")
        return figure
    critical = across.critical_difference(techniques, datasets)
    if stars is None:
        stars = starred(whole, lower_is_better=lower_is_better)
    names = {
        name: f"{s.short(str(name), 30)}{' *' if name in stars else ''}" for name in ranks.index
    }
    critical_difference_diagram(
        {_unique(name, names): float(rank) for name, rank in ranks.items()},
        nemenyi(ranks, datasets).rename(
            index=lambda name: _unique(name, names), columns=lambda name: _unique(name, names)
        ),
        ax=axes,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
        label_props={"fontsize": 8},
        elbow_props={"color": s.INK, "linewidth": 0.8},
        marker_props={"s": 14},
        crossbar_props={"color": s.INK, "linewidth": 2.6, "alpha": 0.75, "solid_capstyle": "butt"},
        text_h_margin=0.02 * max(float(np.ptp(ranks)), 1),
    )
    axes.grid(visible=False)
    axes.set_xlabel("average rank, 1 is the best")
    axes.xaxis.set_label_position("top")
    test = across.friedman(ranked)
    all_alike = "" if math.isnan(test.p) else f"; Friedman's test of all: p = {test.p:.2g}"
    star = f"; * differs from {BASELINE} (Wilcoxon, Holm)" if stars else ""
    figure.suptitle(
        s.wrapped(
            f"Average ranks on {datasets} datasets. Bars join what Nemenyi's test at {ALPHA:.0%} "
            f"cannot tell apart (ranks closer than {critical:.2f}){star}{all_alike}",
            95,
        ),
        fontsize=9,
    )
    return figure


def nemenyi(ranks: pd.Series, datasets: int) -> pd.DataFrame:
    """p-values of Nemenyi's test of every two average ranks, [techniques, techniques].

    P(q > |difference| sqrt(2) / sqrt(k (k + 1) / (6 N))), with q the studentized range of k.

    Args:
        ranks: average ranks by technique.
        datasets: N.
    """
    import pandas as pd
    from scipy.stats import studentized_range

    count = len(ranks)
    values = ranks.to_numpy(dtype=float)
    gaps = np.abs(values[:, None] - values[None])
    distinct, inverse = np.unique(gaps.round(12), return_inverse=True)
    error = math.sqrt(count * (count + 1) / (6 * datasets))
    p = studentized_range.sf(distinct * math.sqrt(2) / error, count, np.inf)
    return pd.DataFrame(
        np.minimum(p, 1)[inverse].reshape(gaps.shape), index=ranks.index, columns=ranks.index
    )


def starred(scores: pd.DataFrame, *, lower_is_better: bool) -> set[str]:
    """Techniques that differ from the baseline by Wilcoxon's test, corrected after Holm."""
    if BASELINE not in scores:
        return set()
    tested = across.wilcoxon(scores, BASELINE, lower_is_better=lower_is_better)
    return {str(name) for name in tested.index[tested["p_holm"] < ALPHA]}


def _unique(name: object, names: dict[object, str]) -> str:
    """A short name that no other technique has: the diagram keeps them apart by it."""
    text = names[name]
    same = [other for other in names if names[other] == text]
    return text if len(same) == 1 else f"{text} #{same.index(name) + 1}"
