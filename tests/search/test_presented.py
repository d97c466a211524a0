"""What a search leaves in the store beside its trials."""

from __future__ import annotations

import math

import pytest
from sklearn.linear_model import LogisticRegression

from regexp.search.arm import Arm
from regexp.search.choice import Trial
from regexp.search.presented import _finalists, _score, mark, yardsticks_of
from regexp.search.recipe import Recipe
from regexp.search.taking_part import read_space
from regexp.sweeps.ingredients import load_data
from tests.sandbox import Sandbox
from tests.search.composed import compose_named

WORDS = ("dataset=iris", "model.hidden=[4]", "search.techniques=[l1]", "yardsticks=true")


def test_estimators_are_fitted_on_the_rows_of_the_trials(sandbox: Sandbox) -> None:
    """Their scores are scikit-learn's own on the split of seed 0, which all trials have."""
    space = read_space(compose_named([*WORDS, f"paths.mlruns={sandbox.store}"]))
    with sandbox.tracker() as tracker:
        search = tracker.sweep("key", "search", {})
        scores = yardsticks_of(space, tracker, search, "final/val_accuracy")
        stages = {*tracker.runs(search.id)["stage"]}
    assert [*scores] == ["majority", "logistic_regression", "hist_gradient_boosting"]
    assert stages == {"yardstick"}
    node = space.config.dataset.copy()
    node.split_seed = 0
    data = load_data(dict(node), space.config.paths.data, 0)
    model = LogisticRegression(max_iter=1000).fit(data.train.inputs, data.train.targets)
    wanted = model.score(data.validation.inputs, data.validation.targets)
    assert scores["logistic_regression"] == pytest.approx(wanted)


def test_the_chosen_are_marked_and_those_of_before_no_more(sandbox: Sandbox) -> None:
    recipes = [Recipe({"optimizer.lr": lr}, {}) for lr in (0.1, 0.2, 0.3)]
    with sandbox.tracker() as tracker:
        search = tracker.sweep("key", "search", {})
        for recipe in recipes:
            tracker.start(
                search.id, name="a", fingerprint=str(recipe), params={},
                tags={"variant": str(recipe), "stage": "tuning"}, artifacts={},
                dataset={"name": "iris", "checksum": "0", "source": "here"},
            ).finish()  # fmt: skip
        for chosen, wanted in (((0, 1), ["recipe", "none", ""]), ((2, 2), ["", "", "recipe"])):
            found, tuned = (recipes[at] for at in chosen)
            mark(tracker, search.id, {"none": tuned, "recipe": found})
            assert [*tracker.runs(search.id)["chosen"]] == wanted
        search.finish()


def test_what_another_search_has_chosen_stays_marked(sandbox: Sandbox) -> None:
    """Two searches whose trials of none are the same runs."""
    shared, own = (Recipe({"optimizer.lr": lr}, {}) for lr in (0.1, 0.2))
    with sandbox.tracker() as tracker:
        first, second = (tracker.sweep(key, "search", {}) for key in ("first", "second"))
        for recipe, search in ((shared, first), (own, second)):
            trial = tracker.start(
                search.id, name="a", fingerprint=str(recipe), params={},
                tags={"variant": str(recipe), "stage": "tuning"}, artifacts={},
                dataset={"name": "iris", "checksum": "0", "source": "here"},
            )  # fmt: skip
            trial.finish()
            if search is first:
                tracker.reuse(second.id, {trial.id: {}})
        mark(tracker, first.id, {"none": shared})
        mark(tracker, second.id, {"none": own})
        assert [*tracker.runs(second.id)["chosen"]] == ["none", "none"]
        for search in (first, second):
            search.finish()


def test_a_trial_without_the_metric_has_no_score() -> None:
    """As a metric of one's own that raised: it is recorded as any, and the search has an end."""
    trials = [Trial(Recipe({}, {}), {}, scores=[scores]) for scores in
              ({"final/val_cost": 0.25}, {"final/val_loss": 1.0}, {"final/val_cost": math.nan},
               None)]  # fmt: skip
    assert [_score(one, "final/val_cost") for one in trials] == [0.25, None, None, None]
    arm = Arm("recipes", read_space(compose_named(WORDS)), [], trials)
    assert [one.scores for one in _finalists(arm, "final/val_cost")] == [
        [0.25], [None], [None], [None]
    ]  # fmt: skip
