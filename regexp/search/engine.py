"""The search on its way: batch after batch for recipes and for `none`, until it is enough.

It keeps nothing itself. Told again from the beginning it proposes the same batches, whose runs
exist already, and so goes on where it was broken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from omegaconf import open_dict, read_write

from regexp.config.bars import Bars, as_lists
from regexp.errors import ConfigError
from regexp.metrics.names import TUNING_STAGE
from regexp.search.arm import Arm
from regexp.search.budget import next_round
from regexp.search.choice import tried
from regexp.search.mixed import fill, groups
from regexp.search.proposals import Propose, round_of
from regexp.search.recipe import Recipe
from regexp.search.rungs import bars_after
from regexp.search.seeds import TRIAL_SEED
from regexp.search.space import Draw, Space
from regexp.sweeps.identity import Node
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.plan import plan, stackable
from regexp.sweeps.planned_run import PlannedRun

Train = Callable[[Sequence[Sequence[PlannedRun]]], Sequence[Sequence[Outcome]]]
"""Trains and records those runs of jobs that do not exist yet; of each job one outcome a run."""


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
    while sizes := next_round(arms):
        batches = [
            (arm, draws, size)
            for arm in arms
            for draws, size in zip(round_of(arm, len(sizes), propose), sizes, strict=True)
        ]
        _try(batches, train)
        after()


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
    """Train so many recipes of batches. One that cannot be planned counts as not finished.

    One that its arm has tried is not trained again, and costs nothing.
    """
    had = {arm.name: {one.recipe.key for one in arm.trials} for arm, _, _ in batches}
    proposed = [[*map(arm.space.recipe, draws)] for arm, draws, _ in batches]
    asked: list[Batch] = []
    for (arm, _, size), recipes in zip(batches, proposed, strict=True):
        new: dict[int, Recipe] = {}
        for at, recipe in enumerate(recipes):
            if recipe.key not in had[arm.name]:
                had[arm.name].add(recipe.key)
                new[at] = recipe
        few = sum(at < size for at in new)
        bars = bars_after(arm.trials, arm.config)
        asked.append(Batch(arm.space, [*new.values()], bars, few))
    outcomes = train_recipes(asked, [TRIAL_SEED], train)
    for (arm, draws, size), recipes, batch, outcomes_of in zip(
        batches, proposed, asked, outcomes, strict=True
    ):
        left = iter(outcomes_of)  # of the new recipes, in their order
        known = {one.recipe.key: one for one in arm.trials}
        for draw, recipe in zip(draws[:size], recipes[:size], strict=True):
            if before := known.get(recipe.key):
                trial = replace(before, draw=draw, seconds=0.0, trained=False)
            else:
                trial = tried(recipe, draw, next(left), batch.bars)
                known[recipe.key] = trial
            arm.trials.append(trial)


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
            rungs = [bar for bar in bars if bar.epoch < config.trainer.epochs]
            config.trainer.bars = as_lists(rungs) or None
    words = str(recipe)
    try:
        runs = plan(config)
    except ConfigError:  # numbers that are good each, but not together
        return []
    return [
        replace(run, name=f"{words} seed={run.seed}", variant=words, stage=TUNING_STAGE)
        for run in runs
    ]
