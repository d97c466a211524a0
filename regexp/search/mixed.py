"""Different recipes in one stack: what one has and another has not stands there at neutral."""

from __future__ import annotations

from collections.abc import Sequence

from regexp.search.recipe import Recipe
from regexp.search.space import Space, is_structural, neutralized, together
from regexp.sweeps.identity import Node


def fill(space: Space, recipes: Sequence[Recipe]) -> list[dict[str, Node]]:
    """The techniques of recipes as runs of one stack have them.

    Each has the techniques of all, in the order of the space; those that a recipe has not are at
    their neutral numbers, with the fields that are structure as the first recipe has them. What no
    recipe has is left out, and costs nothing. A technique without neutral numbers is added to no
    recipe: such recipes train in stacks of their own.

    Returns:
        Of each recipe, the nodes by name.
    """
    have = [space.nodes(recipe) for recipe in recipes]
    union = [name for name in space.techniques if any(name in one for one in have)]
    filled = []
    for own in have:
        nodes: dict[str, Node] = {}
        for name in union:
            neutral = space.techniques[name].neutral
            if name in own:
                nodes[name] = own[name]
            elif neutral is not None:
                first = next(one[name] for one in have if name in one)
                nodes[name] = neutralized(first, neutral)
        filled.append(nodes)
    return filled


def groups(space: Space, recipes: Sequence[Recipe]) -> list[list[int]]:
    """Positions of recipes, in groups that train as stacks.

    Their shared numbers allow one stack, and all techniques go together, so that they fill.
    """
    found: list[list[int]] = []
    fixed = [one.key for one in space.shared if is_structural(one)]
    shapes = [[recipe.shared.get(key) for key in fixed] for recipe in recipes]
    every = together(space, {name for recipe in recipes for name in recipe.techniques})
    for position, recipe in enumerate(recipes):
        for group in found:
            if shapes[position] != shapes[group[0]]:
                continue
            names = {name for one in group for name in recipes[one].techniques}
            more = {*recipe.techniques} - names
            if not more or every or together(space, names | more):
                group.append(position)
                break
        else:
            found.append([position])
    return found
