"""The search on its way: batch after batch for recipes and for `none`, until it is enough.

It keeps nothing itself. Told again from the beginning it proposes the same batches, whose runs
exist already, and so goes on where it was broken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from omegaconf import DictConfig, open_dict, read_write

from regexp.config.bars import Bars
from regexp.config.searched import budget_of
from regexp.errors import ConfigError
from regexp.metrics.names import TUNING_STAGE
from regexp.search.arm import Arm
from regexp.search.choice import Trial, best, ranked, simplest, tried
from regexp.search.mixed import fill, groups
from regexp.search.proposals import Propose, round_of
from regexp.search.recipe import Recipe
from regexp.search.rungs import bars_after
from regexp.search.space import Draw, Space
from regexp.sweeps.identity import Node
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import plan, stackable
from regexp.sweeps.planned_run import PlannedRun

Train = Callable[[Sequence[Sequence[PlannedRun]]], Sequence[Sequence[Outcome]]]
"""Trains and records those runs of jobs that do not exist yet; of each job one outcome a run."""

TRIAL_SEED = 0
"""Of all trials, which so have one split; for its test rows see `unseen`."""

BLOCK = 5
"""Seeds of a block at most, whose splits share as few rows as they can: the verdict begins one."""


def finalist_seeds(config: DictConfig) -> list[int]:
    """The seeds, and so the splits, with which the best trials are trained again."""
    first = TRIAL_SEED + 1
    return list(range(first, first + config.search.finalist_seeds))


def verdict_seeds(config: DictConfig) -> list[int]:
    """The seeds of the verdict, none of which a trial or a finalist had."""
    first = -(-(finalist_seeds(config)[-1] + 1) // BLOCK) * BLOCK
    return list(range(first, first + config.search.seeds))


def rounds(
    arms: Sequence[Arm], train: Train, propose: Propose, after: Callable[[], None] = lambda: None
) -> None:
    """Try batch after batch in all arms, until the trials or the budget are spent.

    Args:
        arms: of the search; their trials grow.
        train: trains what is planned.
        propose: draws a batch, from what earlier rounds came to: which batches of a round are
            trained first, and by whom, changes nothing.
        after: called when a round has ended.
    """
    config = arms[0].config
    while sizes := _next(arms, config):
        batches = [
            (arm, draws, size)
            for arm in arms
            for draws, size in zip(round_of(arm, len(sizes), propose), sizes, strict=True)
        ]
        _try(batches, train)
        after()


def _next(arms: Sequence[Arm], config: DictConfig) -> list[int]:
    """How many recipes each batch of the next round has, in each arm; none if it is enough.

    Of a budget, what the finalists and the verdict will take is kept, and a round is begun only
    where it fits in. What was recorded decides and no clock, so that a search that was broken off
    ends where it would have.
    """
    done, budget = len(arms[0].trials), budget_of(config)
    batch, most = config.search.batch, config.search.parallel
    if budget is None:
        left = config.search.trials - done
        return [min(batch, left - start) for start in range(0, min(left, most * batch), batch)]
    if not _seconds([arm.trials[-batch * most :] for arm in arms]):  # all failed, if any were
        return [] if done else [batch] * most
    spent = sum(arm.seconds for arm in arms)
    # those of the first round train in full, and say nothing of the next where there are others
    alike = [arm.trials[batch * most :] or arm.trials for arm in arms]
    each = _seconds(alike) * batch / len(alike[0])
    fitting = (budget - spent - seconds_after(arms)) // each
    return [batch] * int(max(min(fitting, most), 0))


def _seconds(trials: Sequence[Sequence[Trial]]) -> float:
    return sum(one.seconds for ours in trials for one in ours)


def seconds_after(arms: Sequence[Arm]) -> float:
    """Of training, that finalists and verdict will take: as trials of each arm did in full."""
    found = 0.0
    for arm, runs in zip(arms, _runs_after(arms[0].config), strict=True):
        whole = [trial.seconds for trial in arm.trials if trial.in_full]
        found += runs * sum(whole) / max(len(whole), 1)
    return found


def runs_after(config: DictConfig) -> int:
    """How many runs follow the trials, at most."""
    return sum(_runs_after(config))


def _runs_after(config: DictConfig) -> tuple[int, int]:
    """Of recipes and of `none`: the finalists, and the verdict, which has none untuned too."""
    asked = config.search
    again = asked.finalists * asked.finalist_seeds
    return again + asked.seeds, again + asked.finalist_seeds + 2 * asked.seeds


class Batch(NamedTuple):
    """Recipes that are trained together.

    Attributes:
        space: that they are of.
        recipes: as they were proposed.
        bars: of their runs.
        size: how many of them are trained, the first; None for all.
    """

    space: Space
    recipes: Sequence[Recipe]
    bars: Bars = ()
    size: int | None = None


def _try(batches: Sequence[tuple[Arm, Sequence[Draw], int]], train: Train) -> None:
    """Train so many recipes of batches. One that cannot be planned counts as not finished."""
    asked = [
        Batch(arm.space, [*map(arm.space.recipe, draws)], bars_after(arm.trials, arm.config), size)
        for arm, draws, size in batches
    ]
    outcomes = train_recipes(asked, [TRIAL_SEED], train)
    for (arm, draws, size), batch, ends in zip(batches, asked, outcomes, strict=True):
        each = zip(batch.recipes[:size], draws[:size], ends, strict=True)
        arm.trials += [tried(*one, batch.bars) for one in each]


def train_recipes(
    batches: Sequence[Batch], seeds: Sequence[int], train: Train
) -> list[list[list[Outcome]]]:
    """Train recipes, those that share a stack as one job.

    A run that two jobs have is trained in the first. What is not trained of a batch says with the
    others which techniques its runs have, so that a longer search has the same runs.

    Returns:
        Of each batch, of each recipe the outcomes by seed; none if it cannot be planned.
    """
    planned: list[list[list[PlannedRun]]] = []
    jobs: list[dict[str, PlannedRun]] = []
    for space, recipes, bars, size in batches:
        of_batch: list[list[PlannedRun]] = [[] for _ in recipes]
        for group in groups(space, recipes):
            ours = [recipes[position] for position in group]
            runs_of = [planned_runs(space, recipe, nodes, seeds, bars)
                       for recipe, nodes in zip(ours, fill(space, ours), strict=True)]  # fmt: skip
            every = iter(stackable([run for runs in runs_of for run in runs]))
            for position, runs in zip(group, runs_of, strict=True):
                of_batch[position] = [next(every) for _ in runs]
            known = {one for job in jobs for one in job}
            trained = [at for at in group if size is None or at < size]
            ours_alone = {run.fingerprint: run for at in trained for run in of_batch[at]}
            jobs.append({one: run for one, run in ours_alone.items() if one not in known})
        planned.append(of_batch[:size])
    jobs = [job for job in jobs if job]
    outcomes: dict[str, Outcome] = {}
    for job, ends in zip(jobs, train([[*job.values()] for job in jobs]), strict=True):
        outcomes |= zip(job, ends, strict=True)
    return [[[outcomes[run.fingerprint] for run in runs] for runs in one] for one in planned]


def planned_runs(
    space: Space, recipe: Recipe, nodes: dict[str, Node], seeds: Sequence[int], bars: Bars = ()
) -> list[PlannedRun]:
    """The runs of a recipe with these techniques, on the split of all trials; none if it fails."""
    config = space.configured(recipe, nodes)
    with read_write(config), open_dict(config):
        config.seeds = list(seeds)
        if bars:
            # a recipe may have other epochs than the search
            rungs = [bar.as_list() for bar in bars if bar.epoch < config.trainer.epochs]
            config.trainer.bars = rungs or None
    words = str(recipe)
    try:
        runs = plan(config)
    except ConfigError:  # numbers that are good each, but not together
        return []
    return [
        replace(run, name=f"{words} seed={run.seed}", variant=words, stage=TUNING_STAGE)
        for run in runs
    ]


def conclude(arms: Sequence[Arm], train: Train) -> tuple[Recipe, Recipe]:
    """The recipe that a search ends with, and `none` as it was tuned.

    The best trials are trained again with fresh seeds and splits, as the finalists of the arms; the
    mean chooses. What is no
    better than something simpler by more than a standard error is not taken: the simplest is the
    configuration as it is, and then no technique with the numbers that were found for `none`. The
    configuration as it is, where tuned `none` has beaten it so, is not the recipe either.

    Raises:
        ConfigError: none of the trials of an arm finished.
    """
    recipes, none = arms
    finalists = [_finalists(recipes), _finalists(none)]
    default = none.space.default
    finalists[1] += [default] * (default not in finalists[1])
    asked = [Batch(arm.space, ours) for arm, ours in zip(arms, finalists, strict=True)]
    outcomes = train_recipes(asked, finalist_seeds(none.config), train)
    for arm, ours, ends in zip(arms, finalists, outcomes, strict=True):
        arm.finalists = [tried(recipe, {}, one) for recipe, one in zip(ours, ends, strict=True)]
    best_recipe, best_none = (
        [arm.finalists[at] for at in ranked(arm.finalists, arm.config)][:1] for arm in arms
    )
    simple = [one for one in none.finalists if one.recipe == default] + best_none
    tuned = simplest(simple, none.config)
    first = simple.index(tuned) if tuned else 0
    found = simplest([*simple[first:], *best_recipe], none.config)
    return (found or recipes.finalists[0]).recipe, (tuned or none.finalists[0]).recipe


def _finalists(arm: Arm) -> list[Recipe]:
    if recipes := best(arm.trials, arm.config, arm.config.search.finalists):
        return recipes
    raise ConfigError(
        f"search: none of the {len(arm.trials)} trials of {arm.name} finished, so that none "
        "can be chosen; lower the ends of search.space.optimizer.lr"
    )
