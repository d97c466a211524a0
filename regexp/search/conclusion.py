"""What a search ends with: its best trials once more with fresh seeds, and the choice by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from regexp.errors import ConfigError
from regexp.search.arm import Arm
from regexp.search.choice import Trial, best, ranked, tried
from regexp.search.engine import Batch, Train, train_recipes
from regexp.search.recipe import Recipe
from regexp.search.seeds import FIRST_SEEDS, better_half, finalist_seeds


def conclude(arms: Sequence[Arm], train: Train) -> tuple[Recipe, Recipe]:
    """The recipe that a search ends with, and `none` as it was tuned.

    The best trials are trained again with fresh seeds and splits, as the finalists of the arms: all
    with `FIRST_SEEDS`, the better half of each arm with the other seeds as well, whose means over
    all of them choose; the configuration as it is, which is one of `none`, is not halved away.
    The recipe may be one of `none` as well; where all is equal, the simpler is chosen, the
    configuration as it is first.

    Raises:
        ConfigError: none of the trials of an arm finished.
    """
    recipes, none = arms
    default = none.space.default
    asked = [_finalists(recipes), _finalists(none)]
    asked[1] += [default] * (default not in asked[1])
    seeds = finalist_seeds(none.config)
    first, others = seeds[:FIRST_SEEDS], seeds[FIRST_SEEDS:]
    _train_again(arms, asked, first, train)
    if others:
        asked = [_better_half(arm) for arm in arms]
        asked[1] += [default] * (default not in asked[1])
        _train_again(arms, asked, others, train)
    whole = [
        [one for one in arm.finalists if one.recipe in ours]
        for arm, ours in zip(arms, asked, strict=True)
    ]
    simple = sorted(whole[1], key=lambda one: one.recipe != default)
    found = best([*simple, *whole[0]], none.config, 1) or [recipes.finalists[0].recipe]
    tuned = best(simple, none.config, 1) or [none.finalists[0].recipe]
    return found[0], tuned[0]


def _finalists(arm: Arm) -> list[Recipe]:
    if recipes := best(arm.trials, arm.config, arm.config.search.finalists):
        return recipes
    raise ConfigError(
        f"search: none of the {len(arm.trials)} trials of {arm.name} finished, so that none "
        "can be chosen; lower the ends of search.space.optimizer.lr"
    )


def _better_half(arm: Arm) -> list[Recipe]:
    order = ranked(arm.finalists, arm.config)
    number = min(len(arm.finalists), arm.config.search.finalists)
    return [arm.finalists[at].recipe for at in order[: better_half(number)]]


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
