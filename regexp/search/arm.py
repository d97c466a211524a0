"""The two sides of a search: recipes, and `none` with as many trials."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import DictConfig

from regexp.search.choice import Trial, seconds_of
from regexp.search.space import Space


@dataclass
class Arm:
    """One side of the search: recipes, or `none` with the same number of trials.

    Attributes:
        name: `recipes` or `none`.
        space: what it looks through.
        trials: what it has tried, oldest first.
        finalists: the best of them, as they were trained again.
        base: the side of `none`, whose trials recipes begin from; of that side none.
    """

    name: str
    space: Space
    trials: list[Trial] = field(default_factory=list)
    finalists: list[Trial] = field(default_factory=list)
    base: Arm | None = None

    @property
    def config(self) -> DictConfig:
        """Of the search."""
        return self.space.config

    @property
    def known(self) -> list[Trial]:
        """All trials that its next batch follows from."""
        return [*self.trials, *(self.base.trials if self.base else [])]

    @property
    def seconds(self) -> float:
        """Of training that its trials took, see `seconds_of`."""
        return seconds_of(self.trials)


def arms_of(space: Space) -> tuple[Arm, Arm]:
    """Both sides of a search, before its first trial."""
    none = Arm("none", space.without_techniques())
    return Arm("recipes", space, base=none), none
