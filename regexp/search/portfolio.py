"""Recipes that did well elsewhere, which a search tries first: `search.portfolio`."""

from __future__ import annotations

from typing import Any

from omegaconf import DictConfig, OmegaConf

from regexp.config.validation import validate
from regexp.config.values import as_container, flat, is_number, shown
from regexp.errors import ConfigError, nearest
from regexp.search.recipe import Recipe
from regexp.search.space import Space


def portfolio_of(space: Space) -> list[Recipe]:
    """The recipes of `search.portfolio`, without what does not apply to the data or the network.

    A number that an entry does not have, or that is not searched, is the configuration's own.

    Raises:
        ConfigError: there is no such key, it is no number, or the search has it as it is.
    """
    return [_recipe(space, entry) for entry in space.config.search.portfolio or ()]


def check_portfolio(space: Space) -> None:
    """Check that the recipes of `search.portfolio` have values that there may be.

    Raises:
        ConfigError: see `portfolio_of`; or a number is out of its range.
    """
    for number, recipe in enumerate(portfolio_of(space)):
        try:
            validate(space.configured(recipe, space.nodes(recipe)))
        except ConfigError as error:
            error.key = ".".join(filter(None, (f"search.portfolio[{number}]", error.key)))
            raise


def _recipe(space: Space, entry: DictConfig) -> Recipe:
    given = _numbers({key: value for key, value in entry.items() if key != "regularizer"})
    shared = dict(space.default.shared)
    there = (key for node in (space.config, space.config.search.space) for key, _ in flat(node))
    own_keys = [*shared, *space.searched.nodes, *there]
    for key in given:
        if key not in own_keys:
            raise ConfigError(
                f"search.portfolio has it, and there is no such key{nearest(key, own_keys)}",
                key=key,
            )
    for one in space.shared:
        value = given.get(one.key, shared[one.key])
        if not one.choices:
            _check_number(one.key, value)
        if not one.choices or value in one.choices:
            shared[one.key] = value
    techniques = {}
    for name, technique in space.techniques.items():
        if name in (nodes := entry.get("regularizer") or {}):
            own = technique.default()
            numbers = _numbers(nodes[name] or {})
            for key, value in numbers.items():
                where, known = f"regularizer.{name}.{key}", technique.leaves
                if key not in known:
                    raise ConfigError(
                        f"search.portfolio has it, and there is no such key{nearest(key, known)}",
                        key=where,
                    )
                if is_number(known[key]):
                    _check_number(where, value)
            techniques[name] = own | {key: numbers[key] for key in own if key in numbers}
    return Recipe(shared, techniques)


def unsearched(space: Space) -> list[str]:
    """What of the entries of `search.portfolio` is not searched, so that it rests.

    Keys, and values that are none of those that are searched.
    """
    searched = {one.key: one for one in space.shared}
    found: dict[str, None] = {}
    for entry in space.config.search.portfolio or ():
        given = _numbers({key: value for key, value in entry.items() if key != "regularizer"})
        found |= dict.fromkeys(key for key in given if key not in searched)
        found |= dict.fromkeys(
            f"{key}={shown(value)}"
            for key, value in given.items()
            if key in searched and (among := searched[key].choices) and value not in among
        )
        for name, numbers in (entry.get("regularizer") or {}).items():
            if name in space.techniques:
                rest = _numbers(numbers or {}).keys() - space.techniques[name].default().keys()
                found |= dict.fromkeys(f"regularizer.{name}.{key}" for key in sorted(rest))
    return list(found)


def _check_number(key: str, value: object) -> None:
    if not is_number(value):
        raise ConfigError(
            key=key, got=shown(value), expected="a number, in each entry of search.portfolio"
        )


def _numbers(node: Any) -> dict[str, Any]:
    """The values of a mapping by dotted key."""
    return {key: as_container(value) for key, value in flat(OmegaConf.create(node))}
