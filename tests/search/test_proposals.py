"""What a batch of recipes begins from: the trials before it, those of none too."""

from __future__ import annotations

from collections.abc import Sequence

from regexp.search.arm import Arm, arms_of
from regexp.search.choice import Trial
from regexp.search.engine import planned_runs
from regexp.search.proposals import round_of
from regexp.search.recipe import Recipe
from regexp.search.space import Draw, together
from regexp.search.taking_part import read_space
from tests.search.composed import compose_named
from tests.search.draws import evenly

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
    near: list[Recipe] = []
    for batches in (2, 4, 6, 8):
        recipes.trials = [scored(recipes, l1, 0.7)] * 4 * batches
        plain = scored(none, none.space.default, 0.6)
        none.trials = [scored(none, good, 0.8)] + [plain] * (4 * batches - 1)
        asked = Asked()
        round_of(recipes, 1, asked)
        assert asked.earlier == 8 * batches
        assert asked.best == good.shared | {"regularizer.dropout": None, "regularizer.l1": None}
        near += [recipes.space.recipe(draw) for draw in asked.given]
    assert near
    assert all(len(one.techniques) == 1 for one in near), "one technique more than none has"
    assert any(one.shared["optimizer.lr"] != 0.05 for one in near)
    assert all(0.01 < one.shared["optimizer.lr"] <= 0.1 for one in near)

    round_of(none, 1, asked)
    assert asked.earlier == 32
    none.trials = [scored(none, good, 0.6)] * 32
    round_of(recipes, 1, asked)
    assert asked.best["regularizer.l1"]


def test_structure_is_drawn_from_the_second_batch_on() -> None:
    recipes, none = arms_of(read_space(compose_named(GIVEN)))
    plain = scored(recipes, recipes.space.default, 0.6)
    given = []
    for batches in range(5):
        recipes.trials = [plain] * 4 * batches
        none.trials = recipes.trials
        asked = Asked()
        asked.earlier, asked.given = 0, []
        if batches:
            round_of(recipes, 1, asked)
        given.append(len(asked.given))
    # where no recipe is given, all of a batch are the sampler's, and so is its structure
    assert given[1] == given[3] == 0
    assert min(given[2], given[4]) > 0


def drawn(arm: Arm, draws: Sequence[Draw]) -> list[Recipe]:
    """The recipes of a batch whose sampler answers with these behind what it was given."""

    def propose(_: object, __: object, given: Sequence[Draw], *___: int) -> list[Draw]:
        return [*given, *draws]

    [batch] = round_of(arm, 1, propose)
    return [arm.space.recipe(draw) for draw in batch]


def test_a_draw_without_a_technique_gets_one_of_its_batch() -> None:
    """None has trials of its own. A mode is structure: all of a batch have one."""
    words = ["dataset=iris", "search.techniques=[dropout,bootstrapping]", "search.batch=4",
             "search.space.model.hidden=null", "search.space.trainer.batch_size=null"]  # fmt: skip
    recipes, none = arms_of(read_space(compose_named(words)))
    assert recipes.space.switches == ["dropout", "bootstrapping"]
    own = {name: one.default() for name, one in recipes.space.techniques.items()}
    off = {"regularizer.dropout": False, "regularizer.bootstrapping": False}
    shared = recipes.space.default.shared
    assert own["bootstrapping"]["mode"] == "soft"
    on = {**shared, **off, "regularizer.bootstrapping": True,
          "regularizer.bootstrapping.mode": "hard"}  # fmt: skip
    for trials in ([], [scored(recipes, recipes.space.default, 0.5)] * 4):
        recipes.trials = none.trials = trials
        draws = [on, *({**shared, **off, "optimizer.lr": 0.0007 * n} for n in range(1, 13))]
        found = drawn(recipes, draws)
        assert all(one.techniques for one in found[1 if not trials else 0 :])
        assert {*map(str, (one.techniques for one in found[-12:]))} == {
            str({"dropout": own["dropout"]}),
            str({"bootstrapping": own["bootstrapping"] | {"mode": "hard"}}),
        }
        assert found == drawn(recipes, draws)
        assert not any(one.techniques for one in drawn(none, [dict(shared)]))


def test_each_of_the_other_models_has_a_batch_that_begins_with_the_best_trial() -> None:
    words = [*GIVEN, "search.models=[mlp_ple,mlp_plr]", "search.space.model.hidden=null"]
    recipes, none = arms_of(read_space(compose_named(words)))
    shared = recipes.space.default.shared
    good = Recipe({**shared, "optimizer.lr": 0.05}, {})
    for number, model in enumerate(("mlp_ple", "mlp_plr"), 1):
        for arm in (recipes, none):
            arm.trials = [scored(arm, good, 0.8)] * 4 * number
        for arm in (recipes, none):
            given = drawn(arm, [])
            assert given[0] == Recipe({**good.shared, "model": model}, {})
            assert len(given) > 1
            assert {one.shared["model"] for one in given} == {model}
            assert len({str(one) for one in given}) == len(given)
    for arm in (recipes, none):
        arm.trials = [scored(arm, good, 0.8)] * 16
        assert {one.shared["model"] for one in drawn(arm, [])} == {"mlp"}


CONFLICTING = ("weight_standardization", "spectral_penalty", "ema_half_life", "swa", "ema", "lawa")


def batches_of(arm: Arm, count: int) -> list[list[Recipe]]:
    """So many batches, of which those are better that have more techniques."""
    found = []
    for _ in range(count):
        [draws] = round_of(arm, 1, evenly)
        recipes = [arm.space.recipe(draw) for draw in draws]
        arm.trials += [scored(arm, one, 0.5 + 0.01 * len(one.techniques)) for one in recipes]
        found.append(recipes)
    return found


def test_what_does_not_go_with_the_structure_of_a_batch_is_off_in_it() -> None:
    """A spectral penalty and weights that are standardized, two averages: no run can have both."""
    words = ["dataset=iris", f"search.techniques=[{','.join(CONFLICTING)}]", "search.batch=8",
             "search.together=3"]  # fmt: skip
    arm, _ = arms_of(read_space(compose_named(words)))
    assert not together(arm.space, ["weight_standardization", "spectral_penalty"])
    assert arm.space.switches == ["spectral_penalty", "swa", "ema"]
    recipes = [one for batch in batches_of(arm, 12) for one in batch]
    for one in recipes:
        assert planned_runs(arm.space, one, arm.space.nodes(one), [0]), str(one)
    tried = {name for one in recipes for name in one.techniques}
    assert tried >= {"weight_standardization", "spectral_penalty", "ema_half_life", "lawa"}
    mixed = {tuple(one.techniques) for one in recipes if len(one.techniques) > 1}
    assert len(mixed) > 2, "structure and switches that go together are on together"


def test_where_nothing_is_a_switch_each_recipe_has_structure_and_all_of_it_is_tried() -> None:
    names = "batch_norm", "layer_norm", "weight_standardization"
    words = ["dataset=iris", f"search.techniques=[{','.join(names)}]", "search.batch=4"]
    for most in ("null", "1"):
        arm, none = arms_of(read_space(compose_named([*words, f"search.most={most}"])))
        assert not arm.space.switches
        none.trials = [scored(none, none.space.default, 0.9)] * 24  # the best begins batches
        first, *later = batches_of(arm, 6)
        assert not first[0].techniques
        assert [*first[1].techniques] == ["batch_norm"]
        assert {name for one in first for name in one.techniques} == {*names}
        for batch in later:
            assert len({str(one.techniques) for one in batch}) == 1, "a stack"
            assert all(len(one.techniques) == 1 for one in batch)

    four = tuple(f"{one}_norm" for one in ("batch", "layer", "rms", "group"))
    words = ["dataset=iris", f"search.techniques=[{','.join(four)}]", "search.batch=2"]
    arm, _ = arms_of(read_space(compose_named(words)))
    arm.trials = [scored(arm, arm.space.default, 0.9)] * 2
    recipes = [one for batch in batches_of(arm, 8) for one in batch]
    assert {name for one in recipes for name in one.techniques} == {*four}


def test_no_recipe_comes_again_as_long_as_others_are_found() -> None:
    """`none` of a space that is structure alone: three by two, and a batch is alike in it."""
    words = [*GIVEN, "search.space.optimizer.lr=null", "search.schedulers=null",
             "search.space.model.hidden='choice([4],[8],[16])'",
             "search.space.trainer.batch_size='choice(16,32)'"]  # fmt: skip
    recipes, none = arms_of(read_space(compose_named(words)))
    assert [one.key for one in none.space.shared] == ["trainer.batch_size", "model.hidden"]
    tried = [one.key for batch in batches_of(none, 3) for one in batch]
    possible = 6 + (none.space.default.shared["trainer.batch_size"] not in (16, 32)) + 1
    assert len({*tried}) >= 6
    assert len({*tried}) <= possible
    of_recipes = [one.key for batch in batches_of(recipes, 6) for one in batch]
    assert len({*of_recipes}) == len(of_recipes), "their numbers are others"
    [first, second] = round_of(recipes, 2, evenly)
    keys = [recipes.space.recipe(draw).key for draw in (*first, *second)]
    assert len({*keys, *of_recipes}) == len(of_recipes) + len(keys)
