"""The search on its way: the same trials and choice after a kill, equal budgets, what a batch has.

Trials train by the real loop, kept in a dictionary by their fingerprints; draws are even ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from regexp.errors import ConfigError
from regexp.search.arm import Arm, arms_of
from regexp.search.budget import runs_after, seconds_after
from regexp.search.choice import Trial
from regexp.search.command import lines_of
from regexp.search.conclusion import conclude
from regexp.search.engine import Train, rounds
from regexp.search.portfolio import portfolio_of, unsearched
from regexp.search.progress import progress
from regexp.search.recipe import Recipe
from regexp.search.seeds import (
    FINALIST_SEED,
    finalist_runs,
    finalists_of,
    halvings,
    verdict_seeds,
)
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.outcome import Outcome
from regexp.sweeps.planned_run import PlannedRun
from regexp.sweeps.stacks import group_by_structure, run_stack
from tests.search.composed import compose_named
from tests.search.draws import evenly

SMALL = ("dataset=iris", "model.hidden=[4]", "trainer.epochs=1", "search.trials=8",
         "search.batch=4", "search.together=2", "search.finalists=2",
         "search.techniques=[dropout,batch_norm,mixup,l1]",
         "search.space.model.hidden='choice([4],[8])'")  # fmt: skip


@cache
def space(*overrides: str) -> Space:
    names = "dropout", "batch_norm", "mixup", "l1", "sam"  # one of them in a portfolio alone
    return read_space(compose_named([*SMALL, *overrides], names))


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


HALVED = ("trainer.epochs=4", "search.trials=12", "search.finalists=3")


def test_a_search_that_is_killed_goes_on_with_the_same_trials_and_choice() -> None:
    """In the middle of a round, and among the finalists, before and after they are halved."""
    undisturbed, of = Store(), space(*HALVED)
    whole, chosen = searched(undisturbed, of)
    assert any(trial.left for arm in whole for trial in arm.trials)
    # three rounds of two arms, then finalists by structure, with a seed and with two more
    assert {run.seed for run in undisturbed.batches[7]} == {1}
    assert {run.seed for run in undisturbed.batches[-1]} == {2, 3}
    store = Store()

    def killed(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [one(job) for job in jobs]

    def one(job: Sequence[PlannedRun]) -> list[Outcome]:
        if not {run.fingerprint for run in job} <= store.ended.keys() and not armed.pop():
            raise KeyboardInterrupt
        return store.train_job(job)

    for batches in (3, 4, len(undisturbed.batches) - 8):
        kept, before = {*store.ended}, len(store.batches)
        armed = [False, *[True] * batches]
        with pytest.raises(KeyboardInterrupt):
            conclude(_rounds(arms_of(of), killed), killed)
        trained = [runs for runs in store.batches[before:] if runs]
        assert len(trained) == batches
        assert not kept & {run.fingerprint for runs in trained for run in runs}
    again, chosen_again = searched(store, of)
    assert told(again) == told(whole)
    assert chosen_again == chosen
    assert store.ended.keys() == undisturbed.ended.keys()


def test_a_search_that_is_given_more_trials_goes_on_within_a_batch() -> None:
    """After half a batch, and one and a half, with the runs of a search that had all at once."""

    def trained(trials: int) -> list[str]:
        found: list[str] = []

        def one(run: PlannedRun) -> Outcome:
            found.append(run.fingerprint)
            score = int(run.fingerprint[:8], 16) / 2**32
            names = ("final/val_accuracy", "final/val_loss", "rung/val_loss_1")
            return Outcome(run.name, "FINISHED", metrics=dict.fromkeys(names, score))

        arms = arms_of(space(*HALVED, f"search.trials={trials}"))
        rounds(arms, lambda jobs: [[one(run) for run in job] for job in jobs], evenly)
        assert [len(arm.trials) for arm in arms] == [trials, trials]
        return found

    whole = {*trained(12)}
    assert {*trained(2)} < {*trained(6)} < whole
    assert len(whole) == 2 * 12


def _rounds(arms: tuple[Arm, Arm], train: Train) -> tuple[Arm, Arm]:
    rounds(arms, train, evenly)
    return arms


def test_bars_follow_from_the_earlier_trials_of_the_arm_alone() -> None:
    store, of = Store(), space(*HALVED)
    arms, _ = searched(store, of)
    rows = len(build_member(store.batches[0][0]).data.validation)
    batches = store.batches[:6]  # of recipes and of none in turn
    for side, arm in enumerate(arms):
        noted: list[tuple[float, float]] = []  # rows that are wrong, loss
        for number, batch in enumerate(batches[side::2]):
            best = sorted(noted)[: len(noted) // 3]
            written = {str(run.config["trainer"]["bars"]) for run in batch}
            assert len(written) == 1
            if number:
                [[_, loss, score]] = batch[0].config["trainer"]["bars"]
                assert best[-1][1] <= loss <= best[-1][1] * (1 + 1e-4)
                assert score["accuracy"] == pytest.approx(1 - best[-1][0] / rows, abs=1e-5)
            else:
                assert written == {"[[1, None]]"}
            for run in batch:
                metrics = store.ended[run.fingerprint].metrics
                accuracy = metrics["rung/val_accuracy_1"]
                noted.append((rows - round(rows * accuracy), metrics["rung/val_loss_1"]))
                assert metrics["epochs"] == (1 if best and noted[-1] > best[-1] else 4)
        assert [trial.left for trial in arm.trials] == [
            store.ended[run.fingerprint].metrics["epochs"] == 1
            for batch in batches[side::2]
            for run in batch
        ]
    later = [run for batch in store.batches[6:] for run in batch]
    assert all(run.config["trainer"]["bars"] is None for run in later)


def test_none_has_as_many_trials_on_the_same_split() -> None:
    store = Store()
    (recipes, none), _ = searched(store, space())
    assert [len(arm.trials) for arm in (recipes, none)] == [8, 8]
    assert all(not trial.recipe.techniques for trial in none.trials)
    [(_, first)] = halvings(space().config.search.finalists)
    trials, finalists = ([run for runs in store.batches for run in runs
                          if (run.seed in first) == again]
                         for again in (False, True))  # fmt: skip
    assert {run.seed for run in trials} == {0}
    assert {run.seed for run in finalists} == {FINALIST_SEED}
    tested = {str(build_member(run).data.test.rows) for run in [*trials, *finalists]}
    assert len(tested) == 1
    stages = {run.stage for runs in store.batches for run in runs}
    assert stages == {"tuning"}


def test_no_run_of_the_verdict_has_a_seed_that_a_trial_had() -> None:
    assert verdict_seeds(space().config) == list(range(10_000, 10_010))
    seeds = [seed for _, ours in halvings(100) for seed in ours]
    assert seeds == list(range(1, 128))


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
    of = space("search.budget=100s", "search.seeds=2", "search.finalists=3")
    # three with one seed, two of them with two more; none as it is configured with all three
    assert sum(runs_after(of.config, 8)) == 2 * (3 + 2 * 2) + 3 + 3 * 2
    five = space("search.finalists=5", "search.seeds=10")
    # five with one seed, three of them with two more, two with four; none as it is with all seven
    assert sum(runs_after(five.config, 8)) == 2 * (5 + 3 * 2 + 2 * 4) + 7 + 3 * 10

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 2.0}
        return [[Outcome(run.name, "FINISHED", metrics=metrics) for run in runs] for runs in jobs]

    arms = arms_of(of)
    rounds(arms, train, evenly)
    # 2 seconds a run: 23 runs are kept, and a fourth round of 8 would be more than 100 seconds
    assert [len(arm.trials) for arm in arms] == [12, 12]


def test_what_comes_after_trains_in_full_and_trials_that_end_early_leave_room_for_more() -> None:
    of = space("search.budget=55s", "search.seeds=2", "trainer.epochs=4")

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [[one(run) for run in runs] for runs in jobs]

    def one(run: PlannedRun) -> Outcome:
        [[_, bar]] = run.config["trainer"]["bars"]
        losses.append(float(len(losses)))  # worse than before, so that all are left
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "rung/val_loss_1": losses[-1]}
        metrics["seconds"] = 2.0 if bar is None else 0.5
        return Outcome(run.name, "FINISHED", metrics=metrics)

    losses: list[float] = []
    arms = arms_of(of)
    rounds(arms, train, evenly)
    # 22 seconds are kept; the first round of 8 runs takes 16, each after it 4: another than five
    # would leave less than is kept
    assert [len(arm.trials) for arm in arms] == [20, 20]
    assert sum(arm.seconds for arm in arms) == 16 + 4 * 4
    assert seconds_after(arms, 20) == 11 * 2.0


def test_a_first_round_in_full_does_not_end_a_search_whose_next_ones_are_halved() -> None:
    of = space("search.budget=69s", "search.seeds=2", "search.parallel=2", "trainer.epochs=9")
    losses: list[float] = []

    def one(run: PlannedRun) -> Outcome:
        in_full = run.config["trainer"]["bars"][0][1] is None
        losses.append(float(len(losses)))  # worse than before, so that all are left
        names = ("final/val_loss", "rung/val_loss_1", "rung/val_loss_3")
        metrics = dict.fromkeys(names, losses[-1]) | {"final/val_accuracy": 0.5}
        metrics["seconds"] = 2.0 if in_full else 0.5
        return Outcome(run.name, "FINISHED", metrics=metrics)

    arms = arms_of(of)
    rounds(arms, lambda jobs: [[one(run) for run in job] for job in jobs], evenly)
    # 22 seconds are kept and the first round of 16 runs takes 32: half as many in full would not
    # fit in, and of what comes there are a round of 16 runs and one of 8
    assert [len(arm.trials) for arm in arms] == [20, 20]


def test_what_comes_after_costs_what_the_trials_of_its_arm_did() -> None:
    of = space("search.budget=100s", "search.seeds=2")
    dear = Trial(of.default, {}, [{"final/val_loss": 1.0}], seconds=9.0)
    cheap = Trial(of.default, {}, [{"final/val_loss": 1.0}], seconds=1.0)
    arms = [Arm("recipes", of, [dear, dear]), Arm("none", of, [cheap])]
    # two finalists of one seed each and a verdict of two; of none one finalist more, and untuned
    assert seconds_after(arms, 2) == (2 + 2) * 9.0 + (3 + 2 * 2) * 1.0


def test_a_recipe_that_its_arm_has_tried_is_not_trained_again_and_costs_nothing() -> None:
    """`none` of two sizes and nothing else: its side ends with what both came to."""
    of = space("search.budget=200s", "search.seeds=2", "search.space.optimizer.lr=null",
               "search.space.trainer.batch_size=null", "search.schedulers=null")  # fmt: skip
    arms = arms_of(of)
    trained: list[str] = []

    def one(run: PlannedRun) -> Outcome:
        trained.append(run.fingerprint)
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 2.0}
        return Outcome(run.name, "FINISHED", metrics=metrics)

    rounds(arms, lambda jobs: [[one(run) for run in job] for job in jobs], evenly)
    recipes, none = arms
    sizes = {trial.recipe.key for trial in none.trials}
    assert len(sizes) == 2
    assert none.seconds == 2 * 2.0
    assert [trial.trained for trial in none.trials].count(True) == 2
    assert all(trial.scores == none.trials[0].scores for trial in none.trials)
    assert len(trained) == sum(trial.trained for arm in arms for trial in arm.trials)
    # 22 seconds come after; as none's side costs nothing more, recipes have the rest
    assert 200 - 22 - 4 * 2 < recipes.seconds + none.seconds <= 200 - 22
    told = progress(arms, seconds=100.0)
    assert f"{36 * sum(one.trained for arm in arms for one in arm.trials):,} trials" in told


def test_trials_whose_loss_became_nan_are_of_the_budget_too() -> None:
    arms = arms_of(space("search.budget=90s", "search.seeds=2"))

    def one(run: PlannedRun) -> Outcome:
        if len(arms[0].trials) >= 4:
            return Outcome(run.name, "FAILED", metrics={"seconds": 1.5}, diverged=True)
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 2.0}
        return Outcome(run.name, "FINISHED", metrics=metrics)

    rounds(arms, lambda jobs: [[one(run) for run in job] for job in jobs], evenly)
    # 22 seconds are kept; the first round of 8 runs takes 16, each after it 12: five leave no
    # room for another
    assert [len(arm.trials) for arm in arms] == [20, 20]
    assert sum(arm.seconds for arm in arms) == 16 + 4 * 12


def test_a_budget_of_which_nothing_is_spent_ends_a_search_in_which_all_fails() -> None:
    arms = arms_of(space("search.budget=100s"))
    rounds(
        arms, lambda jobs: [[Outcome(run.name, "FAILED") for run in job] for job in jobs], evenly
    )
    assert [len(arm.trials) for arm in arms] == [4, 4]


def test_a_round_in_which_all_fails_is_the_last_that_a_budget_has() -> None:
    arms = arms_of(space("search.budget=100s"))
    lost: list[Outcome] = []

    def one(run: PlannedRun) -> Outcome:
        if len(arms[0].trials) < 4:
            metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 0.5}
            return Outcome(run.name, "FINISHED", metrics=metrics)
        lost.append(Outcome(run.name, "FAILED"))
        assert len(lost) <= 8
        return lost[-1]

    rounds(arms, lambda jobs: [[one(run) for run in job] for job in jobs], evenly)
    assert [len(arm.trials) for arm in arms] == [8, 8]


def test_trials_that_fail_by_an_exception_count_as_what_others_of_their_arm_took() -> None:
    arms, number = arms_of(space("search.budget=90s", "search.seeds=2")), itertools.count()

    def one(run: PlannedRun) -> Outcome:
        if next(number) % 2:
            return Outcome(run.name, "FAILED")
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 2.0}
        return Outcome(run.name, "FINISHED", metrics=metrics)

    rounds(arms, lambda jobs: [[one(run) for run in job] for job in jobs], evenly)
    # as many as of those that all finish, though half as many seconds are recorded
    assert [len(arm.trials) for arm in arms] == [16, 16]
    assert sum(trial.seconds for arm in arms for trial in arm.trials) == 32.0


def test_a_budget_ends_a_search_whose_recipes_have_all_failed() -> None:
    arms = arms_of(space("search.budget=100s"))

    def job(runs: Sequence[PlannedRun]) -> list[Outcome]:
        metrics = {"final/val_accuracy": 0.5, "final/val_loss": 1.0, "seconds": 0.1}
        fails = any(run.config["regularizer"] for run in runs)
        status = "FAILED" if fails else "FINISHED"
        return [Outcome(run.name, status, metrics={} if fails else metrics) for run in runs]

    rounds(arms, lambda jobs: [*map(job, jobs)], evenly)
    assert [len(arm.trials) for arm in arms] == [4, 4]


def test_trials_that_all_fail_leave_nothing_to_choose() -> None:
    lost = [Trial(space().default, {}, [None])]
    with pytest.raises(ConfigError, match="none of the 1 trials of recipes finished"):
        conclude([Arm("recipes", space(), lost), Arm("none", space())], Store().train)


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


def test_finalists_that_none_of_the_validation_rows_scores_are_chosen_by_their_losses() -> None:
    of = space("search.finalists=2", "compare.metric=test/balanced_accuracy")
    ours, theirs = (
        Recipe(of.default.shared, {"l1": {"strength": strength}}) for strength in (0.1, 0.01)
    )
    scored = [{"final/val_balanced_accuracy": 0.9, "final/val_loss": 0.1}]
    arms = arms_of(of)
    arms[0].trials = [Trial(one, {}, scored) for one in (ours, theirs)]
    arms[1].trials = [Trial(of.default, {}, scored)]

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [
            [Outcome(run.name, "FINISHED", metrics={"final/val_loss": loss(run)}) for run in job]
            for job in jobs
        ]

    def loss(run: PlannedRun) -> float:
        return 0.2 if run.variant == str(theirs) else 0.3

    assert conclude(arms, train) == (theirs, of.default)


def test_the_best_mean_of_both_arms_and_the_configuration_as_it_is_is_chosen() -> None:
    """The simpler where all is equal."""
    of = space("search.finalists=3")
    tuned = Recipe({**of.default.shared, "optimizer.lr": 0.05}, {})
    good = Recipe(of.default.shared, {"l1": {"strength": 0.001}})
    by_seed = {
        str(of.default): (0.8, 0.8, 0.8),
        str(tuned): (0.85, 0.86, 0.87),
        str(good): (0.74, 0.87, 1),
    }

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [[one(run) for run in job] for job in jobs]

    def one(run: PlannedRun) -> Outcome:
        score = by_seed[run.variant][run.seed - FINALIST_SEED]
        scores = {"final/val_accuracy": score, "final/val_loss": 1 - score}
        return Outcome(run.name, "FINISHED", metrics=scores)

    def chosen() -> tuple[Recipe, Recipe]:
        scored = [{"final/val_accuracy": 0.9, "final/val_loss": 0.1}]
        arms = arms_of(of)
        for arm, recipe in zip(arms, (good, tuned), strict=True):
            arm.trials = [Trial(recipe, {}, scored)]
        found = conclude(arms, train)
        assert [[trial.recipe for trial in arm.finalists] for arm in arms] == [
            [good], [tuned, of.default]
        ]  # fmt: skip
        return found

    assert chosen() == (good, tuned)
    by_seed[str(good)] = (0.75, 0.82, 0.9)
    assert chosen() == (tuned, tuned)
    by_seed[str(tuned)] = (0.7, 0.7, 0.7)
    assert chosen() == (good, of.default)
    by_seed[str(good)] = (0.7, 0.75, 0.8)
    assert chosen() == (of.default, of.default)
    by_seed[str(tuned)] = by_seed[str(good)] = by_seed[str(of.default)]
    assert chosen() == (of.default, of.default)
    by_seed[str(of.default)] = (0.7, 0.7, 0.7)
    assert chosen() == (tuned, tuned)


def test_each_round_halves_the_finalists_and_has_twice_the_seeds() -> None:
    assert [*halvings(1)] == [(1, [1])]
    assert [*halvings(2)] == [(2, [1])]
    assert [*halvings(6)] == [(6, [1]), (3, [2, 3]), (2, [4, 5, 6, 7])]
    # each of 32, 16, 8, 4, 2 costs 32 runs; none as it is configured has all 31 seeds
    assert finalist_runs(32) == (5 * 32, 5 * 32 + 31)


def test_finalists_are_one_of_sixteen_trials_if_nothing_is_said() -> None:
    assert [finalists_of(trials) for trials in (4, 111, 112, 512)] == [6, 6, 7, 32]
    assert [finalists_of(trials, 30) for trials in (16, 512)] == [16, 30]
    of = space("search.finalists=null", "search.seeds=2")
    assert runs_after(of.config, 512) == (5 * 32 + 2, 5 * 32 + 31 + 4)


def test_the_better_half_of_the_finalists_has_further_seeds_and_the_mean_of_the_last_chooses() -> (
    None
):
    """One that was halved away is not chosen though its mean, of fewer seeds, is the best; what
    comes of the configuration as it is, is known with all of them.
    """
    of = space("search.finalists=5")
    recipes = [Recipe(of.default.shared, {"l1": {"strength": 0.1**power}}) for power in range(2, 7)]
    by_round = dict(zip(map(str, recipes), [
        (0.82, 0.7, 0.8), (0.9, 0.6, 0.0), (0.1, 1.0, 1.0), (0.8, 0.9, 0.8), (0.7, 1.0, 1.0),
    ], strict=True))  # fmt: skip
    rounds_of_seeds = [seeds for _, seeds in halvings(5)]
    asked: list[set[tuple[str, int]]] = []

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        asked.append({(run.variant, run.seed) for job in jobs for run in job})
        return [[one(run) for run in job] for job in jobs]

    def one(run: PlannedRun) -> Outcome:
        [at] = (at for at, seeds in enumerate(rounds_of_seeds) if run.seed in seeds)
        score = by_round.get(run.variant, (0.5, 0.5, 0.5))[at]
        scores = {"final/val_accuracy": score, "final/val_loss": 1 - score, "seconds": 1.0}
        return Outcome(run.name, "FINISHED", metrics=scores)

    scored = [{"final/val_accuracy": 0.9, "final/val_loss": 0.1}]
    tuned = Recipe({**of.default.shared, "optimizer.lr": 0.05}, {})
    arms = arms_of(of)
    arms[0].trials = [Trial(recipe, {}, scored) for recipe in recipes]
    arms[1].trials = [Trial(tuned, {}, scored)]
    assert conclude(arms, train) == (recipes[3], of.default)
    names, simple = [*map(str, recipes)], [str(tuned), str(of.default)]
    assert asked == [
        {(one, seed) for one in [*left, *simple] for seed in seeds}
        for left, seeds in zip(
            [names, [names[0], names[1], names[3]], [names[0], names[3]]],
            ([1], [2, 3], [4, 5, 6, 7]), strict=True,
        )
    ]  # fmt: skip
    told = {str(it.recipe): len(it.scores) for arm in arms for it in arm.finalists}
    assert told == dict(zip([*names, *simple], (7, 3, 1, 7, 1, 7, 7), strict=True))
    assert all(it.seconds == len(it.scores) for arm in arms for it in arm.finalists)
    assert sum(len(one) for one in asked) <= (
        sum(runs_after(of.config, 5)) - 3 * of.config.search.seeds
    )


def test_a_recipe_without_a_technique_is_what_others_are_held_against() -> None:
    """Else its numbers would be ahead of those of `none` as if techniques had brought it."""
    of = space("search.finalists=2")
    plain, tuned = (Recipe({**of.default.shared, "optimizer.lr": lr}, {}) for lr in (0.02, 0.05))

    def train(jobs: Sequence[Sequence[PlannedRun]]) -> list[list[Outcome]]:
        return [[one(run) for run in job] for job in jobs]

    def one(run: PlannedRun) -> Outcome:
        score = 0.9 if run.variant == str(plain) else 0.8
        scores = {"final/val_accuracy": score, "final/val_loss": 1 - score}
        return Outcome(run.name, "FINISHED", metrics=scores)

    scored = [{"final/val_accuracy": 0.9, "final/val_loss": 0.1}]
    arms = arms_of(of)
    arms[0].trials, arms[1].trials = [Trial(plain, {}, scored)], [Trial(tuned, {}, scored)]
    assert conclude(arms, train) == (plain, plain)


def test_recipes_have_at_most_so_many_techniques() -> None:
    """What is left of a draw is as it was drawn, and structure stays alike in a batch."""
    most = space("search.most=1")
    arms = arms_of(most)
    rounds(arms, Store().train, evenly)
    counts = [len(trial.recipe.techniques) for trial in arms[0].trials]
    assert {*counts} == {0, 1}
    for start in (0, 4):
        batch = arms[0].trials[start : start + 4]
        assert len({"batch_norm" in trial.recipe.techniques for trial in batch}) == 1
    draw = {"structure.normalization": True, "structure.normalization.name": "batch_norm",
            "regularizer.batch_norm.momentum": 0.2, "regularizer.l1": True,
            "regularizer.l1.strength": 0.1, "optimizer.lr": 0.3}  # fmt: skip
    left = draw | {"regularizer.l1": False}
    del left["regularizer.l1.strength"]
    assert most.limited(draw, 7, 0) == left
    assert space("search.most=2").limited(draw, 7, 0) == draw


PORTFOLIO = ("search.portfolio=[{optimizer:{lr:0.02},model:{hidden:[8]},scheduler:constant,"
             "regularizer:{dropout:{hidden:0.2},batch_norm:{},sam:{rho:0.1}}},"
             "{model:{hidden:[7]},trainer:{batch_size:32}}]")  # fmt: skip


def test_a_portfolio_is_tried_first_without_what_does_not_apply() -> None:
    """sam takes no part here, and no network has 7 units."""
    of = space(PORTFOLIO)
    arms = arms_of(of)
    rounds(arms, Store().train, evenly)
    plain, first, second = [trial.recipe for trial in arms[0].trials[:3]]
    assert plain == of.default
    own = of.techniques["dropout"].default()
    assert first.techniques == {
        "dropout": own | {"hidden": 0.2},
        "batch_norm": of.techniques["batch_norm"].default(),
    }
    assert first.shared == plain.shared | {"optimizer.lr": 0.02, "model.hidden": [8],
                                           "scheduler": "constant"}  # fmt: skip
    assert second == Recipe(plain.shared | {"trainer.batch_size": 32}, {})
    assert [trial.recipe.shared for trial in arms[1].trials[:3]] == [
        one.shared for one in (plain, first, second)
    ]
    assert all(trial.scores[0] for trial in arms[0].trials)


def test_what_a_portfolio_has_of_what_is_not_searched_rests_and_is_told() -> None:
    entry = ("search.portfolio=[{optimizer:{lr:0.02,weight_decay:0.5},scheduler:constant,"
             "model:{hidden:[8]},regularizer:{l1:{strength:0.3}}}]")  # fmt: skip
    of = space(entry, "search.schedulers=null", "search.space.model=null", "model=logistic",
               "optimizer=adamw", "search.techniques=[l1]")  # fmt: skip
    other = space(PORTFOLIO.replace("scheduler:constant", "scheduler:step_lr"))
    assert unsearched(other) == ["scheduler=step_lr", "model.hidden=[7]"]
    [recipe] = portfolio_of(of)
    assert recipe.shared["optimizer.lr"] == 0.02
    assert recipe.techniques == {"l1": {"strength": 0.3}}
    assert unsearched(of) == ["optimizer.weight_decay", "scheduler", "model.hidden"]
    assert any("optimizer.weight_decay, scheduler, model.hidden" in line for line in lines_of(of))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[{regularizer:{dropuot:{}}}]", "Did you mean dropout?"),
        ("[3]", "search.portfolio[0]=3: expected a mapping with some of scheduler"),
        ("[{seeds:3}]", "expected a mapping with some of scheduler"),
        ("[{optimizer:[0.1]}]", "search.portfolio[0].optimizer=[0.1]: expected a mapping"),
        ("[{regularizer:{l1:0.3}}]", "search.portfolio[0].regularizer.l1=0.3: expected a mapping"),
        ("[{optimizer:{lr:abc}}]", "optimizer.lr=abc: expected a number"),
        ("[{regularizer:{l1:{strength:abc}}}]", "l1.strength=abc: expected a number"),
        ("[{regularizer:{l1:{strenth:0.1}}}]", "no such key. Did you mean strength?"),
        (
            "{optimizer:{lr:0.1}}",
            "expected a list of recipes, or null",
        ),
        ("[{scheduler:cosine_anealing_lr}]", "Did you mean cosine_annealing_lr?"),
        (
            "[{},{regularizer:{dropout:{hidden:1.5}}}]",
            "search.portfolio[1].regularizer.dropout.hidden: expected a number >= 0 and < 1",
        ),
        ("[{optimizer:{lr:-1}}]", "search.portfolio[0]: optimizer.lr=-1.0: Invalid"),
    ],
)
def test_mistakes_in_a_portfolio_are_named(given: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_space(compose_named(["dataset=iris", f"search.portfolio={given}"], ["dropout", "l1"]))
    assert message in str(caught.value)
