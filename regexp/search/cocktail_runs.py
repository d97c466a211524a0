"""The cocktail that a recorded sweep has, and its runs with techniques left out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from regexp.compare.baseline import label
from regexp.config.values import cocktail_name
from regexp.dataset.folds import BLOCK
from regexp.errors import ConfigError
from regexp.metrics.names import TUNING_STAGE, YARDSTICK_STAGE
from regexp.search.recipe import SCHEDULER
from regexp.search.smaller import Subset
from regexp.search.verdict import FOUND, TUNED
from regexp.sweeps.identity import Node
from regexp.sweeps.ingredients import build_member, build_regularizer, training_rows
from regexp.sweeps.plan import from_resolved
from regexp.sweeps.planned_run import PlannedRun


class Recorded(Protocol):
    """A run as it was recorded."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Resolved."""

    @property
    def tags(self) -> Mapping[str, str]:
        """Of the run in its sweep."""

    @property
    def status(self) -> str:
        """`FINISHED` or another."""


@dataclass(frozen=True)
class Cocktail:
    """A cocktail that was trained, and `none` beside it.

    Attributes:
        configs: resolved, of its finished runs, one a seed.
        none: those of runs without a technique, at the same seeds; may be empty.
        constant: `scheduler` of a configuration without a schedule; empty where a schedule is not
            left out.
        last: the largest seed of its sweep, trials included.
    """

    configs: Sequence[Node]
    none: Sequence[Node] = ()
    constant: Node = field(default_factory=dict)
    last: int = 0

    @property
    def ingredients(self) -> Subset:
        """The techniques in their order, and `scheduler` where the learning rate follows one."""
        config = self.configs[0]
        varies = self.constant and config["scheduler"]["_target_"] != self.constant["_target_"]
        return (*config["regularizer"], *[SCHEDULER] * bool(varies))

    @property
    def seeds(self) -> list[int]:
        """Of its runs."""
        return [config["seed"] for config in self.configs]

    def subset(self, kept: Subset) -> list[Node]:
        """The configurations with some ingredients alone, at the same seeds."""
        return [self._with(config, kept) for config in self.configs]

    def _with(self, config: Node, kept: Subset) -> Node:
        nodes = {name: node for name, node in config["regularizer"].items() if name in kept}
        is_out = SCHEDULER in self.ingredients and SCHEDULER not in kept
        other = {"scheduler": self.constant} if is_out else {}
        return config | {"regularizer": nodes} | other

    def afresh(self, kept: Subset, folder: str) -> list[Node]:
        """As many configurations of some ingredients, with seeds behind all of its sweep.

        A configuration holds lengths that follow from its training rows, so that a seed whose split
        leaves another number of them is passed over.

        Args:
            kept: their names.
            folder: `paths.data`.
        """
        by_rows = {training_rows(one["dataset"], folder, one["seed"]): one for one in self.configs}
        first = -(-(max(*self.seeds, self.last) + 1) // _BLOCKS) * _BLOCKS

        def fresh() -> Iterator[Node]:
            for seed in itertools.islice(itertools.count(first), _TRIED * len(self.configs)):
                rows = training_rows(self.configs[0]["dataset"], folder, seed)
                if rows in by_rows:
                    yield self._with(by_rows[rows], kept) | {"seed": seed}

        return list(itertools.islice(fresh(), len(self.configs)))


_BLOCKS = math.lcm(*range(2, BLOCK + 1))
"""At multiples of it begins a block of seeds, whose splits share as few rows as they can, however
many seeds the blocks of a dataset have: five, four where `test_seed` tells the test rows."""

_TRIED = 20
"""Seeds that are looked at for each that is wanted."""


def names_of(ingredients: Subset) -> str:
    """The techniques among some ingredients, as runs of them are called."""
    return cocktail_name(name for name in ingredients if name != SCHEDULER)


def cocktail_of(
    runs: Sequence[Recorded], most: int | None = None, constant: Node | None = None
) -> Cocktail:
    """The one cocktail of a sweep: the recipe of a search's verdict, or the only one there is.

    Args:
        runs: of the sweep.
        most: so many seeds of it, the first; None for all.
        constant: see `Cocktail`.

    Raises:
        ConfigError: there is none, or there are several.
    """
    arms: dict[tuple[str, ...], dict[int, Node]] = {}
    for run in runs:
        stage = run.tags.get("stage", "")
        if run.status == "FINISHED" and stage not in (TUNING_STAGE, YARDSTICK_STAGE):
            technique = cocktail_name(run.config["regularizer"])
            where = (run.tags.get(name, "") for name in ("dataset", "setting"))
            key = technique, run.tags.get("variant", ""), *where
            arms.setdefault(key, {}).setdefault(run.config["seed"], dict(run.config))
    variants = {variant for _, variant, *_ in arms}
    if TUNED in variants:
        whole = [key for key in arms if key[1] == FOUND and key[0] != "none"]
        if not whole:
            raise ConfigError("the search found no technique that helps; nothing is to be left out")
    else:
        whole = [key for key in arms if "+" in key[0]]
    if len(whole) != 1:
        names = ", ".join(label(*key[:2]) for key in whole) or "none"
        raise ConfigError(
            "expected the sweep of a search, or one with one cocktail of finished runs; it has "
            f"{names}"
        )
    [key] = whole
    by_seed = dict(sorted(arms[key].items())[:most])
    beside = [one for one in arms if one[0] == "none" and one[2:] == key[2:]]
    beside = [one for one in beside if one[1] == TUNED] or beside
    none = arms[beside[0]] if len(beside) == 1 else {}
    beside_it = [none[seed] for seed in by_seed if seed in none]
    # by the tag, which a run has from its beginning: of one that was killed there may be no more
    last = max(int(run.tags.get("seed") or run.config["seed"]) for run in runs)
    return Cocktail(list(by_seed.values()), beside_it, constant or {}, last)


def planned(
    configs: Sequence[Node], here: Mapping[str, Any], variant: str, stage: str = ""
) -> list[PlannedRun]:
    """The runs of resolved configurations, on the data that are here.

    Args:
        configs: of runs that differ by their seeds alone.
        here: `paths`, `tracking` and `debug` of the command, plain.
        variant: what tells them from others of their sweep.
        stage: `tuning` of runs that a choice is made by.

    Raises:
        ConfigError: they do not fit together; a missing or bad file of data.
    """
    runs = [from_resolved(config | dict(here), here["paths"]["data"], variant)
            for config in configs]  # fmt: skip
    build_member(runs[0])
    return [replace(run, stage=stage) for run in runs]


def check_alone(whole: Node, left: Node) -> None:
    """Check that a configuration stays one where some of its techniques are left out.

    Args:
        whole: of the cocktail.
        left: without them.

    Raises:
        ConfigError: what is left out sets the size of batches, on which other numbers rest.
    """
    before, after = (build_regularizer(one["regularizer"]) for one in (whole, left))
    if before.uses("batch_size") and not after.uses("batch_size"):
        raise ConfigError(
            "it sets the size of batches, and with it how long the other techniques' and the "
            "scheduler's schedules are"
        )
