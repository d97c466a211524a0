"""What a batch of recipes begins from: the trials before it, those of none too."""

from __future__ import annotations

from collections.abc import Sequence

from regexp.search.arm import Arm, arms_of
from regexp.search.choice import Trial
from regexp.search.proposals import round_of
from regexp.search.recipe import Recipe
from regexp.search.space import Draw
from regexp.search.taking_part import read_space
from tests.search.composed import compose_named

GIVEN = ["dataset=iris", "search.techniques=[dropout,l1]", "search.batch=4"]


class Asked:
    """A sampler that draws nothing, and keeps what it was asked with last."""

    def __call__(
        self, _: object, earlier: Sequence[tuple[Draw, float]], given: Sequence[Draw], *__: int
    ) -> list[Draw]:
        self.best = min(earlier, key=lambda one: one[1])[0]
        self.earlier, self.given = len(earlier), given
        return []


def scored(arm: Arm, recipe: Recipe, accuracy: float) -> Trial:
    scores = {"final/val_accuracy": accuracy, "final/val_loss": 1 - accuracy}
    return Trial(recipe, arm.space.draw(recipe, recipe.techniques), [scores])


def test_recipes_begin_from_what_is_good_for_none_and_none_knows_of_no_recipe() -> None:
    recipes, none = arms_of(read_space(compose_named(GIVEN)))
    shared = recipes.space.default.shared
    good = Recipe({**shared, "optimizer.lr": 0.05}, {})
    l1 = Recipe(shared, {"l1": {"strength": 0.001}})
    recipes.trials = [scored(recipes, l1, 0.7)] * 4
    none.trials = [scored(none, good, 0.8)] + [scored(none, none.space.default, 0.6)] * 3
    asked = Asked()
    round_of(recipes, 1, asked)
    assert asked.earlier == 8
    assert asked.best == good.shared
    near = [recipes.space.recipe(draw) for draw in asked.given]
    assert near
    assert all(len(one.techniques) < 2 for one in near), "one technique more than none has"
    assert any(one.shared["optimizer.lr"] != 0.05 for one in near)
    assert all(0.01 < one.shared["optimizer.lr"] <= 0.1 for one in near)

    round_of(none, 1, asked)
    assert asked.earlier == 4
    none.trials = [scored(none, good, 0.6)] * 4
    round_of(recipes, 1, asked)
    assert asked.best["regularizer.l1"]
