"""The seeds of trials, finalists and verdict, and how many runs these are."""

from __future__ import annotations

from omegaconf import DictConfig

TRIAL_SEED = 0
"""Of all trials, which so have one split; for its test rows see `unseen`."""

BLOCK = 5
"""Seeds of a block at most, whose splits share as few rows as they can: the verdict begins one."""

FIRST_SEEDS = 2
"""With which all finalists are trained; only the better half of an arm has the others too."""


def finalist_seeds(config: DictConfig) -> list[int]:
    """The seeds, and so the splits, with which the best trials are trained again."""
    first = TRIAL_SEED + 1
    return list(range(first, first + config.search.finalist_seeds))


def verdict_seeds(config: DictConfig) -> list[int]:
    """The seeds of the verdict, none of which a trial or a finalist had."""
    first = -(-(finalist_seeds(config)[-1] + 1) // BLOCK) * BLOCK
    return list(range(first, first + config.search.seeds))


def finalist_runs(config: DictConfig) -> tuple[int, int]:
    """How many runs the finalists are, of recipes and of `none`, at most."""
    number, seeds = config.search.finalists, config.search.finalist_seeds
    others = max(seeds - FIRST_SEEDS, 0)
    recipes = number * (seeds - others) + better_half(number) * others
    return recipes, recipes + seeds  # the configuration as it is


def better_half(number: int) -> int:
    """Of so many finalists, those that have all seeds: of an odd number the larger half."""
    return -(-number // 2)
