"""What a search tries next: of each batch the techniques that it is mixed from, and its draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from regexp.random import Rng, derive
from regexp.search.arm import Arm
from regexp.search.choice import best, ranked, ranks
from regexp.search.costs import extra_cost
from regexp.search.neighbours import neighbour
from regexp.search.portfolio import portfolio_of
from regexp.search.recipe import MODEL, Recipe
from regexp.search.space import Draw, Parameter, Space, is_structural, together

Propose = Callable[
    [Sequence[Parameter], Sequence[tuple[Draw, float]], Sequence[Draw], int, int], list[Draw]
]
"""See `regexp.search.sampler.propose`."""


def round_of(arm: Arm, batches: int, propose: Propose) -> list[list[Draw]]:
    """So many batches of an arm's next round: whole ones, however many of their recipes are tried.

    So a search that is given more trials goes on within a batch.
    """
    first, size = len(arm.trials), arm.config.search.batch
    return [_proposed(arm, first + number * size, propose) for number in range(batches)]


def _proposed(arm: Arm, done: int, propose: Propose) -> list[Draw]:
    """A batch, after `done` others of its arm.

    The first has `none`, the portfolio, and its techniques one by one, with their own numbers. Each
    of the other models has one of the next batches, where it stands in the best trial. Half of
    those, and of every second batch from the third on, are neighbours of the best trial, which may
    be one of `none`: what is drawn anew each time seldom comes close to what is good already. All
    other recipes are the sampler's, which knows the trials of `none` as well, and have a technique
    each. Structure is drawn once a batch, so that it trains as one stack; the first has the
    configuration's own, and a batch with neighbours that of the best trial.
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
    names = _mixed_from(arm, seed, [name for one in near for name in one.techniques])
    recipes = [*_given(space, names, done), *changed][:size]
    recipes += [
        neighbour(space, one, names, Rng(seed, "neighbour", number))
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
    draws[len(given) :] = _with_techniques(space, names, draws, len(given), seed)
    if arm.config.search.most is None:
        return draws
    return [space.limited(draw, seed, number) for number, draw in enumerate(draws)]


def _with_techniques(
    space: Space, names: Sequence[str], draws: Sequence[Draw], given: int, seed: int
) -> list[Draw]:
    """The draws behind those that were given, each with a technique: of the batch's, if of none."""
    found: list[Draw] = []
    for number, draw in enumerate(draws[given:]):
        if names and not space.recipe(draw).techniques:
            name = names[int(Rng(seed, "technique", number).integers(len(names), []))]
            single = space.draw(Recipe({}, {name: space.techniques[name].default()}), [name])
            alike = {one.key: other[one.key]
                     for one in space.techniques[name].dimensions if is_structural(one)
                     for other in draws if one.key in other}  # fmt: skip
            draw = draw | single | alike
        found.append(draw)
    return found


def _given(space: Space, names: Sequence[str], done: int) -> list[Recipe]:
    """The recipes of a batch that are not drawn, after `done` others."""
    plain = space.default
    known: list[Recipe] = []
    for one in (plain, *portfolio_of(space)):
        known += [one] * (one not in known)
    singles = [Recipe(plain.shared, {name: space.techniques[name].default()}) for name in names]
    return known[done:] if done else known + singles


def _mixed_from(arm: Arm, seed: int, first: Sequence[str]) -> list[str]:
    """The switches of a batch: half of them from the best trials, the others drawn.

    A stack pays for every technique that any of its runs has, so that a batch has few, and one that
    costs twice as much is drawn half as often, so that all take about as much of a search: those
    are drawn whose exponential waiting times with such rates end first.

    Args:
        arm: that it is of.
        seed: of the batch.
        first: techniques that it has, whatever others.
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
    there = [name for name in first if name in switches]
    drawn = sorted(switches, key=lambda name: waits[name])
    for name in [*there, *list(known)[: -(-most // 2)], *drawn]:
        if len(kept) == most:
            break
        if name not in kept and together(space, [*kept, name]):
            kept.append(name)
    return [name for name in space.techniques if name in kept]
