"""How far a search is: by what was trained, and not by what was there already."""

from __future__ import annotations

from functools import cache

from regexp.search.arm import Arm, arms_of
from regexp.search.choice import Trial
from regexp.search.progress import progress
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from tests.search.composed import compose_named


@cache
def space(*overrides: str) -> Space:
    words = ["dataset=iris", "search.techniques=[l1]", "search.trials=12", *overrides]
    return read_space(compose_named(words))


def tried(of: Space, trials: int, seconds: float) -> tuple[Arm, Arm]:
    scores = {"final/val_accuracy": 0.5, "final/val_loss": 1.0} if seconds else None
    arms = arms_of(of)
    for arm in arms:
        arm.trials = [Trial(of.default, {}, [scores], seconds)] * trials
    return arms


def test_trials_that_were_there_say_nothing_of_the_rate() -> None:
    arms = tried(space(), 8, 1.0)
    assert progress(arms, 80.0).endswith("720 trials an hour; about 1 min of trials left")
    assert progress(arms, 80.0, 4).endswith("360 trials an hour; about 1 min of trials left")
    assert " an hour" not in progress(arms, 0.001, 8)
    # of 1,000 seconds 160 are spent, and 33 runs of finalists and verdict take 330
    budget = space("search.budget=1000s", "search.finalists=1")
    line = progress(tried(budget, 8, 10.0), 160.0, 4)
    assert line.endswith("180 trials an hour; about 17 min of trials left"), line


def test_a_budget_that_the_first_round_leaves_too_little_of_is_told_of() -> None:
    few = "search.finalists=1"
    # 160 seconds are spent, and 33 runs after them take 330
    line = progress(tried(space("search.budget=400s", few), 8, 10.0), 160.0)
    assert "finalists and verdict take about 2 min of training more than search.budget" in line
    assert line.endswith("about 0 min of trials left")
    for enough in ("500s", "600s"):
        line = progress(tried(space(f"search.budget={enough}", few), 8, 10.0), 160.0)
        assert "more than" not in line


def test_the_best_are_told_by_what_is_compared() -> None:
    scores = {
        "final/val_accuracy": 0.5, "final/val_balanced_accuracy": 0.25,
        "final/val_roc_auc": 0.75, "final/val_loss": 1.0,
    }  # fmt: skip
    places = "final/val_roc_auc=0.75, final/val_loss=1"
    for metric, told in (
        ("test/balanced_accuracy", f"final/val_balanced_accuracy=0.25, {places}"),
        ("test/accuracy", f"final/val_accuracy=0.5, {places}"),
        ("test/loss", "final/val_loss=1"),
    ):
        arms = tried(space(f"compare.metric={metric}"), 1, 1.0)
        arms[0].trials = [Trial(arms[0].space.default, {}, [scores], 1.0)]
        assert f"best of recipes: {told} with none; " in progress(arms[:1], 1.0)


def test_where_all_trials_failed_nothing_is_foretold() -> None:
    arms = tried(space("search.budget=100s"), 4, 0.0)
    assert progress(arms, 3.0) == "4 recipes and as many of none"
