"""Recipes like one that is good: most of it stays, a switch or some numbers are others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from regexp.config.search_space import Dimension
from regexp.random import Rng
from regexp.search.recipe import Recipe
from regexp.search.space import Space, is_structural

STEP = 0.1
"""Standard deviation of a number's step, as a share of its range."""


def neighbour(space: Space, recipe: Recipe, names: Sequence[str], rng: Rng) -> Recipe:
    """A recipe near another one, of the same structure, so that they train as one stack.

    In two of three cases one technique is put in, with the numbers of its YAML, or left out, and
    each number is moved in one of two; in the others all numbers are. None without a technique is
    near to anything where there are any: `none` has trials of its own. A technique without a
    neutral setting is structure, and so are its numbers.

    Args:
        space: of the search.
        recipe: that it is near to.
        names: of the switches that may be put in or left out.
        rng: of the neighbour.
    """
    techniques = dict(recipe.techniques)
    often = 1.0
    if names and (float(rng.uniform([])) < 2 / 3 or not techniques):
        often = 1 / 2
        name = names[int(rng.integers(len(names), []))]
        if name not in techniques:
            techniques[name] = space.techniques[name].default()
        elif len(techniques) > 1:
            del techniques[name]
        else:
            often = 1.0
    moved = {
        name: techniques[name]
        if one.neutral is None
        else techniques[name] | _moved_of(one.dimensions, techniques[name], one.own, often, rng)
        for name, one in space.techniques.items()
        if name in techniques
    }
    shared = _moved_of(space.shared, recipe.shared, str, often, rng)
    return Recipe({**recipe.shared, **shared}, moved)


def _moved_of(
    dimensions: Sequence[Dimension],
    numbers: Mapping[str, Any],
    own: Callable[[str], str],
    often: float,
    rng: Rng,
) -> dict[str, Any]:
    """Other values of those numbers that have any near them which one stack may have.

    One that is null stays so: it is none.
    """
    return {
        own(one.key): _moved(one, numbers[own(one.key)], often, rng.fold(one.key))
        for one in dimensions
        if not one.choices and not is_structural(one) and numbers[own(one.key)] is not None
    }


def _moved(one: Dimension, value: Any, often: float, rng: Rng) -> Any:
    step, draw = rng.normal([]), rng.uniform([])
    if float(draw) >= often:
        return value
    return one.at(min(max(one.share(value) + STEP * float(step), 0.0), 1.0))
