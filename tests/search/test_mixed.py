"""Different recipes in one stack: each run has the numbers that its recipe has alone, to rounding.

The oracle is the recipe by itself, with no other technique, trained alone by the same code.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from omegaconf import OmegaConf

from regexp.commands.arguments import parse
from regexp.config.searched import Searched, compose_search
from regexp.regularizer.cocktail import Cocktail
from regexp.search.mixed import fill
from regexp.search.recipe import Recipe
from regexp.search.space import Space
from regexp.search.taking_part import technique_of, without_shared_ranges
from regexp.sweeps.ingredients import build_regularizer
from tests.support import NAMES
from tests.technique_runs import (
    SMOOTH,
    Mix,
    alone,
    assert_close,
    before,
    go_together,
    home,
    technique,
    train_stack,
    within,
)

OTHER = "weight_noise"
"""The recipe beside the technique's own: it draws, changes every weight and is for all data."""


@cache
def searched() -> Searched:
    return compose_search(parse(["dataset=iris"])[0])


@cache
def space(*names: str) -> Space:
    config, nodes = without_shared_ranges(searched().config), searched().techniques
    found = {name: technique_of(config, name, nodes[name]) for name in names}
    return Space(searched(), (), found)


def mix(nodes: dict[str, dict[str, object]]) -> Mix:
    return tuple(build_regularizer(nodes).techniques.items())


def recipe(of: Space, *names: str) -> Recipe:
    return Recipe({}, {name: of.techniques[name].default() for name in names})


def can_be_absent(name: str) -> bool:
    """Whether some runs of a stack may go without the technique."""
    return space(name).techniques[name].neutral is not None


def test_most_techniques_can_be_absent_from_some_runs_of_a_stack() -> None:
    assert sum(map(can_be_absent, NAMES)) > len(NAMES) / 2
    for name in ("dropout", "mixup", "weight_decay", "sam", "label_smoothing", "ema"):
        assert can_be_absent(name)
    for name in ("batch_norm", "skip_connection", "lookahead", "one_of"):
        assert not can_be_absent(name)


@pytest.mark.parametrize("name", [name for name in NAMES if technique(name).neutral is not None])
def test_a_filled_recipe_gives_what_it_gives_alone(name: str) -> None:
    if not can_be_absent(name):
        pytest.skip("has no neutral setting within a stack")
    needed = before(name)
    beside = OTHER if name != OTHER and go_together(*needed, name, OTHER) else "l2"
    beside = beside if name != beside else "l1"
    of = space(*dict.fromkeys((*needed, name, beside)))
    recipes = [recipe(of, *needed, name), recipe(of, *needed), recipe(of, *needed, beside)]
    filled = fill(of, recipes)
    assert all({*nodes} == {*of.techniques} for nodes in filled)
    structures = {str(build_regularizer(nodes).structure()) for nodes in filled}
    assert len(structures) == 1
    options: Any = {"optimizer": SMOOTH, "precision": "float64", "epochs": 2}
    runs = [(seed, mix(nodes)) for seed, nodes in enumerate(filled)]
    together, _ = train_stack(home(name), *runs, **options)
    for seed, one in enumerate(recipes):
        by_itself = alone(home(name), seed, mix(of.nodes(one)), **options)
        weights, wanted = together[seed].last["weights"], by_itself.last["weights"]
        if weights.keys() != wanted.keys():  # those that are computed have other names
            together[seed].last["weights"] = within(weights, wanted)
        assert together[seed].last["weights"].keys() == wanted.keys()
        assert_close(together[seed], by_itself, 1e-10)


def test_what_no_recipe_has_is_left_out() -> None:
    of = space("dropout", "l1", "mixup")
    assert fill(of, [recipe(of), recipe(of)]) == [{}, {}]
    assert [[*nodes] for nodes in fill(of, [recipe(of, "mixup"), recipe(of)])] == [["mixup"]] * 2


def test_what_has_no_neutral_setting_is_added_to_no_recipe() -> None:
    of = space("batch_norm", "l1")
    having, without = fill(of, [recipe(of, "batch_norm", "l1"), recipe(of)])
    assert [*having] == ["batch_norm", "l1"]
    assert [*without] == ["l1"]
    assert without["l1"]["strength"] == 0


def test_absent_techniques_have_the_structure_of_present_ones() -> None:
    """A field that is null is a layer that is not there: neutral, it stays so."""
    of = space("dropout")
    one = Recipe({}, {"dropout": {"hidden": 0.3, "inputs": None}})
    having, without = fill(of, [one, recipe(of)])
    assert (having["dropout"]["hidden"], without["dropout"]["hidden"]) == (0.3, 0.0)
    assert without["dropout"]["inputs"] is None
    assert Cocktail(dict(mix(having))).structure() == Cocktail(dict(mix(without))).structure()


def test_a_configuration_is_the_filled_one() -> None:
    of = space("l1", "l2")
    one, _ = recipes = [recipe(of, "l1"), recipe(of, "l2")]
    config = of.configured(one, fill(of, recipes)[0])
    plain = OmegaConf.to_container(config.regularizer)
    assert isinstance(plain, dict)
    assert {name: node["strength"] for name, node in plain.items()} == {"l1": 1e-4, "l2": 0.0}
