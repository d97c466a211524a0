"""What a search ends with: its best trials once more with fresh seeds, and the choice by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from omegaconf import DictConfig

from regexp.errors import ConfigError
from regexp.metrics.names import LOSS
from regexp.search.arm import Arm
from regexp.search.choice import Trial, best, by_means, ranked, tried
from regexp.search.engine import Batch, Train, train_recipes
from regexp.search.recipe import Recipe
from regexp.search.seeds import finalists_of, halvings
from regexp.sweeps.tuning import in_order


def conclude(arms: Sequence[Arm], train: Train) -> tuple[Recipe, Recipe]:
    """The recipe that a search ends with, and `none` as it was tuned.

    The best trials are trained again with fresh seeds and splits, as the finalists of the arms, of
    which each round leaves the better half (`halvings`); the configuration as it is, which is one
    of `none`, is not halved away. The means of the last over all their seeds choose.
    The recipe may be one of `none` as well, and one among recipes that has no technique is one of
    `none`; where all is equal, the simpler is chosen, the configuration as it is first.

    Raises:
        ConfigError: none of the trials of an arm finished.
    """
    recipes, none = arms
    default = none.space.default
    asked_number = finalists_of(len(recipes.trials), none.config.search.finalists)
    left, order = [_checked(arm).trials for arm in arms], ranked
    for number, seeds in halvings(asked_number):
        asked = [best(ours, none.config, number, order) for ours in left]
        asked[1] += [default] * (default not in asked[1])
        _train_again(arms, asked, seeds, train)
        left = [
            [one for one in arm.finalists if one.recipe in ours]
            for arm, ours in zip(arms, asked, strict=True)
        ]
        order = _by_means
    simple = [*left[1], *(one for one in left[0] if not one.recipe.techniques)]
    simple.sort(key=lambda one: one.recipe != default)
    found = best([*simple, *left[0]], none.config, 1, order) or [recipes.finalists[0].recipe]
    tuned = best(simple, none.config, 1, order) or [none.finalists[0].recipe]
    return found[0], tuned[0]


def _by_means(trials: Sequence[Trial], config: DictConfig) -> list[int]:
    """`by_means`; by their losses where none has the metric, undefined on all validation rows."""
    try:
        return by_means(trials, config)
    except ConfigError:
        return in_order([one.scores for one in trials], LOSS)


def _checked(arm: Arm) -> Arm:
    if best(arm.trials, arm.config, 1):
        return arm
    raise ConfigError(
        f"search: none of the {len(arm.trials)} trials of {arm.name} finished, so that none "
        "can be chosen; lower the ends of search.space.optimizer.lr"
    )


def _train_again(
    arms: Sequence[Arm], asked: Sequence[Sequence[Recipe]], seeds: Sequence[int], train: Train
) -> None:
    """Train recipes of arms with seeds that they have not had; the arms' finalists have them."""
    batches = [Batch(arm.space, ours) for arm, ours in zip(arms, asked, strict=True)]
    outcomes = train_recipes(batches, seeds, train)
    for arm, ours, ends in zip(arms, asked, outcomes, strict=True):
        again = [tried(recipe, {}, one) for recipe, one in zip(ours, ends, strict=True)]
        arm.finalists = [_joined(one, again) for one in arm.finalists] or again


def _joined(before: Trial, again: Sequence[Trial]) -> Trial:
    """A finalist with its further seeds, if it has any."""
    more = [one for one in again if one.recipe == before.recipe]
    return replace(
        before,
        scores=[*before.scores, *(score for one in more for score in one.scores)],
        seconds=before.seconds + sum(one.seconds for one in more),
    )
