"""The search on its way: the same trials and choice after a kill, equal budgets, what a batch has.

Trials train by the real loop, kept in a dictionary by their fingerprints; draws are even ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from regexp.commands.arguments import parse
from regexp.config.searched import compose_search
from regexp.errors import ConfigError
from regexp.search.choice import Trial
from regexp.search.engine import (
    Arm,
    arms_of,
    choose,
    conclude,
    finalist_seeds,
    rounds,
    runs_after,
    verdict_seeds,
)
from regexp.search.recipe import Recipe
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.stacks import group_by_structure, run_stack
from tests.search.draws import evenly

SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=1", "search.trials=8",
         "search.batch=4", "search.together=2", "search.finalists=2", "search.finalist_seeds=2",
         "search.techniques=[dropout,batch_norm,mixup,l1]",
         "search.space.model.hidden='choice([4],[8])'")  # fmt: skip


@cache
def space(*overrides: str) -> Space:
    return read_space(compose_search(parse([*SMALL, *overrides])[0]))


class Store:
    """Trains runs by the real loop, each once, and keeps what they ended with."""

    def __init__(self) -> None:
        self.ended: dict[str, Outcome] = {}
        self.batches: list[list[PlannedRun]] = []

    def train(self, jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [self.train_job(runs) for runs in jobs]

    def train_job(self, runs: Sequence[PlannedRun]) -> list[Outcome]:
        self.batches.append([run for run in runs if run.fingerprint not in self.ended])
        members = [build_member(run) for run in runs]
        for part in group_by_structure(runs, members, True):
            ours = [runs[at] for at in part]
            if all(run.fingerprint in self.ended for run in ours):
                continue
            for run, result in zip(ours, run_stack(ours, lambda *told: None), strict=True):
                one = Outcome(run.name, result.status, metrics=dict(result.metrics))
                self.ended.setdefault(run.fingerprint, one)
        return [self.ended[run.fingerprint] for run in runs]


def searched(store: Store, of: Space) -> tuple[tuple[Arm, Arm], tuple[Recipe, Recipe]]:
    arms = arms_of(of)
    rounds(arms, store.train, evenly)
    return arms, conclude(arms, store.train)


def told(arms: Sequence[Arm]) -> list[Any]:
    return [[(one.recipe, [*map(_scores, one.scores)]) for one in arm.trials] for arm in arms]


def _scores(scores: Any) -> Any:
    return None if scores is None else dict(scores)


def test_a_search_that_is_killed_goes_on_with_the_same_trials_and_choice() -> None:
    whole, chosen = searched(Store(), space())
    store = Store()

    def killed(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        if len(store.batches) == 2:
            raise KeyboardInterrupt
        return store.train(jobs)

    with pytest.raises(KeyboardInterrupt):
        rounds(arms_of(space()), killed, evenly)
    kept = {*store.ended}
    again, chosen_again = searched(store, space())
    assert told(again) == told(whole)
    assert chosen_again == chosen
    trained = {run.fingerprint for runs in store.batches[2:] for run in runs}
    assert kept
    assert not kept & trained


def test_none_has_as_many_trials_on_the_same_split() -> None:
    store = Store()
    (recipes, none), _ = searched(store, space())
    assert [len(arm.trials) for arm in (recipes, none)] == [8, 8]
    assert all(not trial.recipe.techniques for trial in none.trials)
    splits = {run.config["dataset"]["split_seed"] for runs in store.batches for run in runs}
    assert splits == {0}
    stages = {run.stage for runs in store.batches for run in runs}
    assert stages == {"tuning"}


def test_no_run_of_the_verdict_has_a_seed_that_a_trial_had() -> None:
    config = space().config
    assert finalist_seeds(config) == [1, 2]
    assert verdict_seeds(config) == list(range(5, 15))


def test_the_first_batch_has_none_and_single_techniques_at_their_own_numbers() -> None:
    arm, none = arms_of(space())
    rounds((arm, none), Store().train, evenly)
    plain, *singles = arm.trials[:3]
    assert plain.recipe == none.trials[0].recipe == space().default
    assert [len(trial.recipe.techniques) for trial in singles] == [1, 1]
    for trial in singles:
        [(name, numbers)] = trial.recipe.techniques.items()
        assert numbers == space().techniques[name].default()
        assert trial.recipe.shared == space().default.shared


def test_a_batch_shares_its_structure_and_trains_as_one_stack() -> None:
    store = Store()
    (arm, _), _ = searched(store, space())
    for start in (0, 4):
        batch = arm.trials[start : start + 4]
        kinds = {(str(one.recipe.shared["model.hidden"]), one.recipe.shared["trainer.batch_size"],
                  "batch_norm" in one.recipe.techniques) for one in batch}  # fmt: skip
        assert len(kinds) == 1
        used = {name for one in batch for name in one.recipe.techniques} - {"batch_norm"}
        assert len(used) <= 2
    first = store.batches[0]
    assert len(group_by_structure(first, [build_member(run) for run in first], True)) == 1
    assert len({run.technique for run in first}) == 1
    assert len({run.variant for run in first}) == len(first)


def test_a_budget_is_of_recorded_seconds_and_keeps_what_comes_after() -> None:
    of = space("search.budget=100s", "search.seeds=2")
    assert runs_after(of.config) == 2 * 2 * 2 + 3 * 2

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 2.0}
        return [[Outcome(run.name, "FINISHED", metrics=metrics) for run in runs] for runs in jobs]

    arms = arms_of(of)
    rounds(arms, train, evenly)
    # 2 seconds a run: 14 runs are kept, and a fifth round of 8 would be more than 100 seconds
    assert [len(arm.trials) for arm in arms] == [16, 16]


def test_trials_that_all_fail_leave_nothing_to_choose() -> None:
    lost = [Trial(space().default, {}, [None])]
    with pytest.raises(ConfigError, match="none of the 1 trials of recipes finished"):
        choose([Arm("recipes", space(), lost)], Store().train)


@pytest.mark.parametrize("worse", [False, True])
def test_no_technique_at_all_may_be_the_recipe(worse: bool) -> None:
    """Where all techniques are made to look bad, it is none with the numbers found for it."""

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [
            [
                Outcome(one.name, one.status, metrics={key: _made(key, run) for key in one.metrics})
                for run, one in zip(runs, store.train_job(runs), strict=True)
            ]
            for runs in jobs
        ]

    def _made(key: str, run: PlannedRun) -> float:
        off = run.config["regularizer"] == {} or run.variant.startswith("none")
        return float(off if worse else not off) * (-1 if key.endswith("loss") else 1)

    store, arms = Store(), arms_of(space())
    rounds(arms, train, evenly)
    found, tuned = conclude(arms, train)
    assert not tuned.techniques
    assert (found == tuned) == worse
    assert bool(found.techniques) != worse
