"""What a search tries next: of each batch the techniques that it is mixed from, and its draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from regexp.random import Rng, derive
from regexp.search.arm import Arm
from regexp.search.choice import best, ranked, ranks
from regexp.search.costs import extra_cost
from regexp.search.neighbours import neighbour
from regexp.search.portfolio import portfolio_of
from regexp.search.recipe import MODEL, Recipe
from regexp.search.space import Draw, Parameter, Space, is_structural, together
from regexp.sweeps.identity import Node

Propose = Callable[
    [Sequence[Parameter], Sequence[tuple[Draw, float]], Sequence[Draw], int, int], list[Draw]
]
"""See `regexp.search.sampler.propose`."""

TRIES = 16
"""So often a recipe that an arm has is moved, and as often what it shares is drawn anew, to become
another one."""


def round_of(arm: Arm, batches: int, propose: Propose) -> list[list[Draw]]:
    """So many batches of an arm's next round: whole ones, however many of their recipes are tried.

    So a search that is given more trials goes on within a batch. No recipe of the arm comes again,
    as long as others are found.
    """
    first, size = len(arm.trials), arm.config.search.batch
    had = {trial.recipe.key for trial in arm.trials}
    return [_proposed(arm, first + number * size, propose, had) for number in range(batches)]


def _proposed(arm: Arm, done: int, propose: Propose, had: set[str]) -> list[Draw]:
    """A batch, after `done` others of its arm, whose keys are added to those that the arm has.

    The first has `none`, the portfolio, and its techniques one by one, with their own numbers. Each
    of the other models has one of the next batches, where it stands in the best trial. Half of
    those, and of every second batch from the third on, are neighbours of the best trial, which may
    be one of `none`: what is drawn anew each time seldom comes close to what is good already. All
    other recipes are the sampler's, which knows the trials of `none` as well, and have a technique
    each. Structure is drawn once a batch, so that it trains as one stack, and what does not go with
    it is off; the first has the configuration's own, and a batch with neighbours that of the best
    trial. Where no technique is a switch, there is structure in each batch.
    """
    space, size = arm.space, arm.config.search.batch
    seed = derive(arm.config.search.seed, "search", arm.name, done)
    known, batch = arm.known, done // size
    other = [*space.searched.nodes[MODEL]][batch : batch + 1] if batch else []
    near = best(known, arm.config, 1) if other or (batch and batch % 2 == 0) else []
    changed = [
        Recipe({**one.shared, MODEL: model}, one.techniques)
        for model in other
        for one in near or [space.default]
    ]
    near = changed or near
    mixed = _mixed_from(arm, seed, [name for one in near for name in one.techniques])
    names = [name for name in space.techniques if name in mixed]
    always = _always_on(arm, seed)
    recipes = [*_given(space, names, done), *changed][:size]
    recipes += [
        neighbour(space, _with_technique(one, always), names, Rng(seed, "neighbour", number))
        for one in near
        for number in range((size - len(recipes)) // 2)
    ]
    given = [space.draw(one, {*names, *one.techniques} & {*space.switches}) for one in recipes]
    parameters = space.parameters(names)
    # none's trials are good or bad by what every recipe has: they say nothing of techniques
    untold = {one.key: None for one in parameters if one.switches}
    tried = [one.draw for one in arm.trials]
    tried += [one.draw | untold for one in known[len(tried) :]]
    earlier = [*zip(tried, ranks(known, arm.config), strict=True)]
    draws = propose(parameters, earlier, given, size, seed)
    drawn, going = _going_together(space, mixed, draws[len(given) :])
    singles = [name for name in names if name in going] or [*always]
    draws[len(given) :] = _with_techniques(space, singles, draws[: len(given)], drawn, seed)
    if arm.config.search.most is not None:
        draws = [space.limited(draw, seed, number) for number, draw in enumerate(draws)]
    return [_another(space, draw, names, had, seed, at) for at, draw in enumerate(draws)]


def _always_on(arm: Arm, seed: int) -> dict[str, Node]:
    """Structure that a batch has where no technique is a switch, with the numbers of its YAML.

    One that no trial has had, if there is any. Empty where there are switches, or no techniques.
    """
    techniques = arm.space.techniques
    if arm.space.switches or not techniques:
        return {}
    had = {name for trial in arm.trials for name in trial.recipe.techniques}
    among = [name for name in techniques if name not in had] or [*techniques]
    name = among[int(Rng(seed, "always").integers(len(among), []))]
    return {name: techniques[name].default()}


def _with_technique(recipe: Recipe, always: Mapping[str, Node]) -> Recipe:
    return recipe if recipe.techniques else Recipe(recipe.shared, always)


def _going_together(
    space: Space, mixed: Sequence[str], draws: Sequence[Draw]
) -> tuple[list[Draw], list[str]]:
    """Draws of a sampler without the techniques that do not go with their structure.

    Args:
        space: of the search.
        mixed: the switches of the batch, those first that it should rather have.
        draws: alike in structure.

    Returns:
        The draws, and the techniques of the batch that may be on.
    """
    if not draws:
        return [], [*mixed]
    structure = [name for name in space.recipe(draws[0]).techniques
                 if space.techniques[name].neutral is None]  # fmt: skip
    going: list[str] = []
    for name in [*structure, *mixed]:
        if together(space, [*going, name]):
            going.append(name)
    off = {*structure, *mixed} - {*going}
    return [space.without(draw, off) if off else draw for draw in draws], going


def _with_techniques(
    space: Space, names: Sequence[str], given: Sequence[Draw], draws: Sequence[Draw], seed: int
) -> list[Draw]:
    """Draws behind those that were given, each with a technique: one of these, if of none."""
    found: list[Draw] = []
    for number, draw in enumerate(draws):
        if names and not space.recipe(draw).techniques:
            name = names[int(Rng(seed, "technique", number).integers(len(names), []))]
            single = space.draw(Recipe({}, {name: space.techniques[name].default()}), [name])
            alike = {one.key: other[one.key]
                     for one in space.techniques[name].dimensions if is_structural(one)
                     for other in (*given, *draws) if one.key in other}  # fmt: skip
            draw = draw | single | alike
        found.append(draw)
    return found


def _another(
    space: Space, draw: Draw, names: Sequence[str], had: set[str], seed: int, number: int
) -> Draw:
    """A draw whose recipe the arm has not: itself, or one with other numbers.

    Numbers of the same structure are tried first, which leave the batch one stack. The draw itself
    where none is found, as nothing is left to try.

    Args:
        space: of the search.
        draw: of the batch.
        names: of the batch's switches.
        had: the keys of the recipes that the arm has, to which that of the draw is added.
        seed: of the batch.
        number: of the draw within it.
    """
    one = space.recipe(draw)
    if one.key not in had:
        had.add(one.key)
        return draw
    for attempt in range(2 * TRIES):
        rng = Rng(seed, "another", number, attempt)
        if attempt < TRIES:
            other = neighbour(space, one, (), rng)
        else:
            shares = rng.uniform([len(space.shared)]).tolist()
            other = Recipe(
                {d.key: d.at(share) for d, share in zip(space.shared, shares, strict=True)},
                one.techniques,
            )
        if other.key not in had:
            had.add(other.key)
            return space.draw(other, {*names, *other.techniques} & {*space.switches})
    return draw


def _given(space: Space, names: Sequence[str], done: int) -> list[Recipe]:
    """The recipes of a batch that are not drawn, after `done` others."""
    plain = space.default
    known: list[Recipe] = []
    for one in (plain, *portfolio_of(space)):
        known += [one] * (one not in known)
    alone = names if space.switches else [*space.techniques]
    singles = [Recipe(plain.shared, {name: space.techniques[name].default()}) for name in alone]
    return known[done:] if done else known + singles


def _mixed_from(arm: Arm, seed: int, first: Sequence[str]) -> list[str]:
    """The switches of a batch: half of them from the best trials, the others drawn.

    A stack pays for every technique that any of its runs has, so that a batch has few, and one that
    costs twice as much is drawn half as often, so that all take about as much of a search: those
    are drawn whose exponential waiting times with such rates end first.

    Args:
        arm: that it is of.
        seed: of the batch.
        first: techniques that it has, whatever others; with those that are structure the others go.

    Returns:
        Those that it should rather have, first.
    """
    space, most = arm.space, arm.config.search.together
    switches = space.switches
    if not switches:
        return []
    shares = Rng(seed, "switches").uniform([len(switches)]).tolist()
    waits = {name: -extra_cost(name) * math.log1p(-share)
             for name, share in zip(switches, shares, strict=True)}  # fmt: skip
    known = dict.fromkeys(
        name
        for position in ranked(arm.trials, arm.config)
        for name in arm.trials[position].recipe.techniques
        if name in switches
    )
    kept: list[str] = []
    structure = [name for name in first if name not in switches]
    there = [name for name in first if name in switches]
    drawn = sorted(switches, key=lambda name: waits[name])
    for name in [*there, *list(known)[: -(-most // 2)], *drawn]:
        if len(kept) == most:
            break
        if name not in kept and together(space, [*structure, *kept, name]):
            kept.append(name)
    return kept
