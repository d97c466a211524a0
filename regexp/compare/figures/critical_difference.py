"""Critical-difference diagram: average ranks over datasets, and which of them differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from regexp.compare import across as tests
from regexp.compare.figures import style as s
from regexp.compare.statistics import ALPHA

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from regexp.compare.ranking import Across


@s.styled
def critical_difference(across: Across) -> Figure:
    """Draw the average ranks of the techniques, the best on the left.

    A bar joins techniques that Nemenyi's test cannot tell apart: their ranks are closer than the
    critical difference. It has little power for many techniques, so those that differ from the
    baseline by joint flips of signs are marked with a star as well.
    """
    from scikit_posthocs import critical_difference_diagram, posthoc_nemenyi_friedman

    datasets, techniques = across.ranks.shape
    starred = set(across.tested.index[across.tested["p_joint"] < across.alpha])
    ranks = across.ranks.set_axis(_labels(across.ranks, starred), axis="columns")
    average = ranks.mean()
    figure, axes = s.single(7.6, 1.6 + 0.13 * max(techniques, 4))
    drawn = critical_difference_diagram(
        average,
        posthoc_nemenyi_friedman(ranks),
        ax=axes,
        label_fmt_left="{label} ({rank:.2f})",
        label_fmt_right="({rank:.2f}) {label}",
        label_props={"fontsize": 8},
        elbow_props={"color": s.INK, "linewidth": 0.8},
        marker_props={"s": 14},
        crossbar_props={"color": s.INK, "linewidth": 2.6, "alpha": 0.75, "solid_capstyle": "butt"},
        text_h_margin=0.02 * max(float(np.ptp(average)), 1),
    )
    for [bar] in drawn["crossbars"]:  # from end to end, not from point to point in a set's order
        x, y = bar.get_data()
        bar.set_data([min(x), max(x)], y[:2])
    axes.grid(visible=False)
    axes.set_xlabel("average rank, 1 is the best")
    axes.xaxis.set_label_position("top")
    critical = tests.critical_rank_difference(techniques, datasets)
    p = across.friedman.p
    all_alike = "" if math.isnan(p) else f"; Friedman's test of all: p = {p:.2g}"
    star = f"; * differs from {across.against} (joint sign flips)" if starred else ""
    title = (
        f"Average ranks on {datasets} datasets. Bars join what Nemenyi's test at {ALPHA:.0%} "
        f"cannot tell apart (ranks closer than {critical:.2f}){star}{all_alike}"
    )
    figure.suptitle(s.wrapped(title, 95), fontsize=9)
    return figure


def _labels(techniques: Iterable[object], starred: Collection[object]) -> list[str]:
    """Short names with their stars, no two the same: the diagram keeps techniques apart by them."""
    techniques = list(techniques)
    return [
        f"{name}{' *' if technique in starred else ''}"
        for name, technique in zip(s.distinct(techniques, 30), techniques, strict=True)
    ]
