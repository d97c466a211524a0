"""Neighbours of a recipe: near it, of its structure, and never itself."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from regexp.random import Rng
from regexp.search.engine import planned_runs
from regexp.search.mixed import fill
from regexp.search.neighbours import neighbour
from regexp.search.recipe import Recipe
from regexp.search.space import Space
from regexp.search.taking_part import read_space
from regexp.sweeps.ingredients import build_member
from regexp.sweeps.stacks import group_by_structure
from tests.search.composed import compose_named

NAMES = ["dropout", "mixup", "l1"]


@cache
def space() -> Space:
    given = ["dataset=iris", "search.techniques=[dropout,mixup,l1,batch_norm]"]
    return read_space(compose_named(given))


def recipe(*names: str) -> Recipe:
    techniques = {name: space().techniques[name].default() for name in names}
    return Recipe(space().default.shared, techniques)


def near(one: Recipe, names: list[str], count: int = 60) -> list[Recipe]:
    return [neighbour(space(), one, names, Rng(0, "test", number)) for number in range(count)]


@pytest.mark.parametrize("names", [[], NAMES])
def test_no_neighbour_is_the_recipe_itself(names: list[str]) -> None:
    one = recipe("dropout", "batch_norm") if names else recipe()
    found = near(one, names)
    assert one not in found
    assert len({str(other) for other in found}) > 50
    assert found == near(one, names)


def test_at_most_one_switch_is_another_and_structure_stays() -> None:
    one = recipe("dropout", "batch_norm")
    changes = [{*one.techniques} ^ {*other.techniques} for other in near(one, NAMES)]
    assert all(len(change) <= 1 for change in changes)
    assert {name for change in changes for name in change} == {*NAMES}
    put_in = [other for other in near(one, ["l1"]) if "l1" in other.techniques]
    assert [*put_in[0].techniques] == [
        name for name in space().techniques if name in put_in[0].techniques
    ]
    for other in near(one, NAMES):
        same = ("trainer.batch_size", "model.hidden", "scheduler")
        assert [other.shared[key] for key in same] == [one.shared[key] for key in same]


def test_numbers_of_structure_and_numbers_that_are_none_stay() -> None:
    """The momentum of batch normalization is structure: neighbours of it are one stack."""
    one = recipe("dropout", "batch_norm")
    one = replace(one, techniques=dict(one.techniques) | {"dropout": {"hidden": None, "inputs": 0}})
    found = near(one, ["mixup", "l1"])
    assert {str(other.techniques["batch_norm"]) for other in found} == {
        str(one.techniques["batch_norm"])
    }
    assert {other.techniques["dropout"]["hidden"] for other in found} == {None}
    found = near(recipe("dropout", "batch_norm"), NAMES, 8)
    runs = [
        planned_runs(space(), other, nodes, [0])[0]
        for other, nodes in zip(found, fill(space(), found), strict=True)
    ]
    assert len(group_by_structure(runs, [*map(build_member, runs)], True)) == 1


def test_numbers_stay_near_and_in_their_ranges() -> None:
    [rate] = [d for d in space().shared if d.key == "optimizer.lr"]
    start = rate.share(recipe().shared[rate.key])
    steps = [rate.share(other.shared[rate.key]) - start for other in near(recipe(), [], 400)]
    assert sum(step**2 for step in steps) / len(steps) == pytest.approx(0.1**2, rel=0.2)
    at_end = Recipe({**recipe().shared, rate.key: rate.high}, {})
    assert all(rate.low <= other.shared[rate.key] <= rate.high for other in near(at_end, []))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_leads_to_the_number_and_back(share: float) -> None:
    [rate] = [d for d in space().shared if d.key == "optimizer.lr"]
    assert rate.share(rate.at(share)) == pytest.approx(share, abs=1e-3)
