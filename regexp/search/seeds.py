"""The seeds of trials, finalists and verdict, and how many runs these are."""

from __future__ import annotations

from collections.abc import Iterator

from omegaconf import DictConfig

TRIAL_SEED = 0
"""Of all trials, which so have one split; for its test rows see `unseen`."""

FINALIST_SEED = 1
"""The first of the finalists: of the trials' block, whose splits validate with other rows."""

VERDICT_SEED = 10_000
"""The first of the verdict, far behind the last of the finalists."""

TRIALS_A_FINALIST = 16
LEAST_FINALISTS = 6
"""How many finalists there are if nothing is said: one of so many trials, and at least these."""

LAST_FINALISTS = 2
"""So many of an arm, or fewer, are not halved again."""


def finalists_of(trials: int, asked: int | None = None) -> int:
    """How many of so many trials are trained again, in each arm, at most.

    Args:
        trials: of the arm.
        asked: `search.finalists`; where there are fewer trials, these, with as many seeds as for
            the least.
    """
    if asked is None:
        return max(LEAST_FINALISTS, trials // TRIALS_A_FINALIST)
    return min(asked, max(trials, LEAST_FINALISTS))


def halvings(finalists: int) -> Iterator[tuple[int, list[int]]]:
    """How many finalists of an arm are left in each round, and the seeds that are new in it.

    Sequential halving (Karnin, Koren and Somekh 2013): each round halves them, and has twice the
    seeds of the one before, so that all rounds cost the same.
    """
    first, new = FINALIST_SEED, 1
    while True:
        yield finalists, list(range(first, first + new))
        if finalists <= LAST_FINALISTS:
            return
        first, new, finalists = first + new, 2 * new, -(-finalists // 2)


def finalist_runs(finalists: int) -> tuple[int, int]:
    """How many runs so many finalists are, of recipes and of `none`, at most."""
    rounds = [*halvings(finalists)]
    recipes = sum(number * len(seeds) for number, seeds in rounds)
    return recipes, recipes + sum(len(seeds) for _, seeds in rounds)  # the configuration as it is


def verdict_seeds(config: DictConfig) -> list[int]:
    """The seeds of the verdict, none of which a trial or a finalist had."""
    return list(range(VERDICT_SEED, VERDICT_SEED + config.search.seeds))
