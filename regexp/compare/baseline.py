"""What is compared, techniques or another factor of a sweep, and what the others are held against.

Everything about techniques holds for the levels of any factor: for optimizers, a comparison's
column `technique` has their names (see `regexp.compare.factor`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from regexp.metrics.names import NOISE_FLOOR, NONE_AGAIN, parameter

if TYPE_CHECKING:
    import pandas as pd

Key = tuple[str, str, str, str]  # dataset, setting, technique, variant

# What makes two runs the same row. Everything but the seed that a sweep varies must be here.
KEYS = ["dataset", "setting", "technique", "variant"]
FAMILY = ["dataset", "setting"]

TECHNIQUE = "technique"
"""The factor that is compared where no other is asked for."""


@dataclass(frozen=True)
class Baseline:
    """What the others are held against.

    Attributes:
        name: of a technique, or of another factor's level.
        variant: its numbers of a grid, such as `strength=0.001`; None where each of the others is
            held against the one that has the same numbers.
        factor: what is compared: `technique`, or a dotted key or group such as `optimizer`.
    """

    name: str = "none"
    variant: str | None = None
    factor: str = TECHNIQUE

    def __str__(self) -> str:
        return label(self.name, self.variant or "")

    @property
    def kind(self) -> str:
        """What is compared, in one word: `technique`, or `level`."""
        return TECHNIQUE if self.factor == TECHNIQUE else "level"

    @property
    def kinds(self) -> str:
        """The same of several: `techniques`, or `levels of optimizer`."""
        return "techniques" if self.factor == TECHNIQUE else f"levels of {self.factor}"

    def has(self, name: str, variant: str) -> bool:
        """Whether it is this technique, with these numbers."""
        return name == self.name and self.variant in (None, variant)

    def rows(self, frame: pd.DataFrame) -> pd.Series:
        """Which rows of a frame of runs, or of a table, are the baseline's."""
        mask = frame["technique"] == self.name
        return mask if self.variant is None else mask & (frame["variant"] == self.variant)

    def of(self, key: Key, others: Iterable[Key]) -> Key | None:
        """The row that another is held against, out of `others`.

        With a grid over something that the baseline has as well, such as a learning rate, it is the
        baseline at the same numbers: the one that shares most of them and has no others.

        Args:
            key: dataset, setting, technique, variant.
            others: keys of all rows.
        """
        dataset, setting, _, variant = key
        numbers = set(parts_of(variant))
        fitting = [
            other
            for other in others
            if other[:2] == (dataset, setting)
            and self.has(*other[2:])
            and (self.variant is not None or set(parts_of(other[3])) <= numbers)
        ]
        return max(fitting, key=lambda other: len(parts_of(other[3])), default=None)


NONE = Baseline()
"""Runs without a technique."""


def controls(runs: pd.DataFrame, baseline: str) -> set[str]:
    """The techniques of runs that are A/A arms: trained as the baseline is, if that is `none`.

    Args:
        runs: from `Tracker.runs`.
        baseline: the technique that they are held against.
    """
    if baseline != NONE.name:
        return set()
    found = set(map(str, runs["technique"].unique()))
    targets = {name: parameter(f"regularizer.{name}._target_") for name in found}
    again = {name for name, of in targets.items() if of in runs and (runs[of] == NONE_AGAIN).any()}
    return again | found & {NOISE_FLOOR}


def label(name: str, variant: str) -> str:
    """Technique and variant for people: `l1 (strength=0.001)`."""
    return f"{name} ({variant})" if variant else name


def parts_of(name: str) -> list[str]:
    """The parts of a setting or variant: each key=value, and the sweep where that is told."""
    return [part for part in _BETWEEN.split(name) if part]


_BETWEEN = re.compile(r",\s+(?=[\w.@/]+=|sweep [0-9a-f]{8}$)")  # lists have commas too
