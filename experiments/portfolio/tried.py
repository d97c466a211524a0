"""Recipes tried on one dataset: some that a search draws, and candidates of other datasets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean
from typing import Any

from omegaconf import open_dict, read_write

from regexp.commands.arguments import parse
from regexp.config.searched import compose_search
from regexp.metrics.names import chosen_by
from regexp.search.arm import Arm
from regexp.search.choice import best, tried
from regexp.search.engine import Batch, rounds, train_recipes
from regexp.search.portfolio import portfolio_of
from regexp.search.recipe import Recipe
from regexp.search.sampler import propose
from regexp.search.shared import Shared
from regexp.search.taking_part import read_space
from regexp.sweeps.launched import open_tracker


class Tried:
    """A search of recipes on one dataset, without a verdict.

    Args:
        dataset: a choice of the group, and overrides after it.
        trials: how many recipes are drawn.
        overrides: of the search.
    """

    def __init__(self, dataset: str, trials: int, overrides: Sequence[str]) -> None:
        words = ["experiment=recipe_table", *f"dataset={dataset}".split(),
                 f"search.trials={trials}", "search.budget=null", *overrides]  # fmt: skip
        self.space = read_space(compose_search(parse(words)[0]))
        self.config = self.space.config
        self._title = " ".join(["portfolio", *words])
        self._arm = Arm("recipes", self.space)

    def best(self, count: int) -> list[Recipe]:
        """The recipes that were best on validation rows, and no technique at all.

        Each has other techniques than those before it.
        """
        with open_tracker(self.config) as tracker:
            parent = tracker.sweep(self._title, self._title, {})
            rounds([self._arm], Shared(self.config, tracker, parent.id), propose)
            parent.finish("FINISHED")
        found: dict[frozenset[str], Recipe] = {}
        for recipe in best(self._arm.trials, self.config, len(self._arm.trials)):
            found.setdefault(frozenset(recipe.techniques), recipe)
        return [self.space.default, *[*found.values()][:count]]

    def scores(self, entries: Sequence[dict[str, Any]], seeds: Sequence[int]) -> list[float]:
        """Means over seeds, on validation rows, of recipes that may be another dataset's."""
        with read_write(self.config), open_dict(self.config):
            self.config.search.portfolio = list(entries)
        recipes = portfolio_of(self.space)
        metric = chosen_by(self.config.compare.metric)
        title = f"{self._title}: candidates"
        with open_tracker(self.config) as tracker:
            parent = tracker.sweep(title, title, {})
            trained = Shared(self.config, tracker, parent.id)
            [outcomes] = train_recipes([Batch(self.space, recipes)], list(seeds), trained)
            parent.finish("FINISHED")
        found = []
        for recipe, ends in zip(recipes, outcomes, strict=True):
            runs = tried(recipe, {}, ends).scores
            finished = [one[metric] for one in runs if one is not None]
            found.append(mean(finished) if len(finished) == len(runs) else -math.inf)
        return found
