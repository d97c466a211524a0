"""What a recipe is worth: it and `none`, tuned and untuned, with seeds that no trial had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from omegaconf import DictConfig, open_dict, read_write

from regexp.config.values import copied
from regexp.metrics.names import FINAL_STAGE
from regexp.search.recipe import Recipe
from regexp.search.seeds import verdict_seeds
from regexp.search.space import Space
from regexp.sweeps.plan import plan
from regexp.sweeps.planned_run import PlannedRun

FOUND, TUNED, UNTUNED = "recipe", "tuned", "untuned"
"""What the arms are called, beside their techniques."""

BASELINE = f"none ({TUNED})"
"""What the others are held against."""


def question(config: DictConfig) -> DictConfig:
    """The configuration of the sweep that gives the verdict."""
    config = copied(config)
    with read_write(config), open_dict(config):
        config.compare.factor = None
        config.compare.baseline = BASELINE
        config.seeds = verdict_seeds(config)
    return config


def planned_arms(space: Space, found: Recipe, tuned: Recipe) -> dict[str, list[PlannedRun]]:
    """The runs of each arm, without those that are another arm's: an arm may be the same as it.

    Args:
        space: of the search.
        found: the recipe that was chosen.
        tuned: the numbers that were chosen for `none`.
    """
    config = question(space.config)
    arms: Mapping[str, Recipe] = {TUNED: tuned, FOUND: found, UNTUNED: space.default}
    planned: dict[str, list[PlannedRun]] = {}
    known: set[str] = set()
    for name, recipe in arms.items():
        whole = space.configured(recipe, space.nodes(recipe))
        with read_write(whole), open_dict(whole):
            whole.seeds = config.seeds
        runs = [
            replace(
                run,
                name=f"{run.technique} {name} seed={run.seed}",
                variant=name,
                tuned="" if name == UNTUNED else str(recipe),
                stage=FINAL_STAGE,
            )
            for run in plan(whole)
        ]
        if known.isdisjoint(run.fingerprint for run in runs):
            planned[name] = runs
            known |= {run.fingerprint for run in runs}
    return planned
