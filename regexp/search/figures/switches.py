"""Which techniques the good trials had."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.compare.figures import style as s
from regexp.search.records import RECIPES, SearchRecord

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS = {
    1: ("o", s.BLUE, "more"),
    0: ("D", s.INK, "as many"),
    -1: ("s", s.VERMILION, "fewer"),
}
"""Marker, colour and words by the sign of a difference."""

SHOWN = 30
"""Techniques that are drawn, at most: those of the recipe and of the largest differences."""


@dataclass(frozen=True)
class Switch:
    """How often a technique was in the trials.

    Attributes:
        name: of the technique.
        good: how many of the best quarter have it.
        all: how many of all trials that finished.
        of_good, of_all: how many there are.
    """

    name: str
    good: int
    all: int
    of_good: int
    of_all: int

    @property
    def difference(self) -> float:
        """The share of the best quarter minus that of all."""
        return self.good / self.of_good - self.all / self.of_all


def switches_of(record: SearchRecord) -> list[Switch]:
    """The techniques that were tried, those first that the best quarter has more often than all."""
    tried = [one for one in record.trials[RECIPES] if one.score is not None]
    tried.sort(key=lambda one: one.rank)
    good = tried[: math.ceil(len(tried) / 4)]
    names = dict.fromkeys(name for one in tried for name in one.recipe.techniques)
    found = [
        Switch(
            name,
            sum(name in one.recipe.techniques for one in good),
            sum(name in one.recipe.techniques for one in tried),
            len(good),
            len(tried),
        )
        for name in names
    ]
    return sorted(found, key=lambda one: (-one.difference, one.name))


@s.styled
def switches(record: SearchRecord) -> Figure:
    """Draw of each technique the share of the best quarter of trials that has it, and of all."""
    from matplotlib.lines import Line2D

    chosen = record.recipe.recipe.techniques
    rows = _shown(switches_of(record), chosen)
    figure, axes = s.single(7.0, 1.4 + 0.19 * max(len(rows), 2))
    for place, one in enumerate(rows):
        good, every = 100 * one.good / one.of_good, 100 * one.all / one.of_all
        marker, colour, _ = LOOKS[(one.difference > 0) - (one.difference < 0)]
        axes.plot([every, good], [place, place], color=colour, linewidth=2, alpha=s.FAINT)
        axes.plot(every, place, marker="|", color=s.INK, markersize=8, linestyle="none")
        axes.plot(good, place, marker=marker, color=colour, markersize=5.5, linestyle="none",
                  clip_on=False, zorder=3)  # fmt: skip
        axes.text(1.02, place, f"{one.good} of {one.of_good}; {one.all} of {one.of_all}",
                  transform=axes.get_yaxis_transform(), va="center", fontsize=7)  # fmt: skip
    axes.text(1.02, -0.9, "best quarter; all", transform=axes.get_yaxis_transform(), va="center",
              fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(rows)), [s.short(one.name) for one in rows])
    for label, one in zip(axes.get_yticklabels(), rows, strict=True):
        if one.name in chosen:
            label.set_fontweight("bold")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("share of the trials that have it, %")
    axes.set_title(s.wrapped("Techniques of the best quarter of trials"), fontsize=10)
    handles = [
        Line2D([], [], marker=marker, color=colour, label=f"of the best quarter, {words}",
               linestyle="none", markersize=5.5)
        for marker, colour, words in LOOKS.values()
    ]  # fmt: skip
    handles.append(Line2D([], [], marker="|", color=s.INK, label="of all", linestyle="none",
                          markersize=8))  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=4, fontsize=7)
    return figure


def _shown(rows: Sequence[Switch], chosen: Collection[str]) -> list[Switch]:
    """Those of the recipe and of the largest differences, in their order."""
    first = sorted(rows, key=lambda one: (one.name not in chosen, -abs(one.difference)))[:SHOWN]
    return [one for one in rows if one in first]
