"""The worlds in which verdicts are held against the truth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

from benchmarks.worlds.numbers import numbers
from benchmarks.worlds.pools import Pools
from benchmarks.worlds.ridge import ridge
from benchmarks.worlds.sweep import Null, Sweep, World


def of_numbers(seed: int) -> list[World]:
    """Random numbers: families of any size, spreads and tails."""
    found = []
    for null in get_args(Null):
        draw = partial(numbers, seed=seed, null=null)
        for techniques, seeds in ((1, 6), (2, 6), (15, 3), (15, 6), (15, 20), (69, 6)):
            found.append(World("normal", null, partial(draw, techniques=techniques, seeds=seeds)))
        draw = partial(draw, techniques=15, seeds=6)
        found.append(World("one unstable technique", null, partial(draw, unstable=5.0)))
        found.append(World("heavy tails", null, partial(draw, tails="heavy")))
        found.append(World("skewed", null, partial(draw, tails="skewed")))
    return found


def of_ridge(seed: int) -> list[World]:
    """Ridge regressions, whose differences depend on the rows far more than those of networks."""
    draw = partial(ridge, seed=seed, techniques=15)
    found = []
    for rows, seeds in ((60, 10), (150, 5), (150, 10), (150, 20), (600, 10)):
        one = partial(draw, rows=rows, seeds=seeds)
        found.append(World(f"ridge, {rows} rows, error", "other rows", one))
    for rows, seeds in ((60, 3), (60, 10), (150, 10), (600, 10)):
        one = partial(draw, rows=rows, seeds=seeds, classify=True)
        found.append(World(f"ridge, {rows} rows, accuracy", "other rows", one))
    for seeds in (5, 10):
        one = partial(draw, rows=150, seeds=seeds, balanced=True)
        found.append(World("ridge, 150 rows, error, balanced", "other rows", one))
    for seeds in (5, 10):
        one, name = partial(draw, rows=600, train_size=50, seeds=seeds), "ridge, 50 of 360 rows"
        found.append(World(f"{name}, test rows alone", "other rows", partial(_of_test, one)))
        found.append(World(f"{name}, all unused rows", "other rows", one))
        one = partial(one, balanced=True)
        found.append(World(f"{name}, all unused rows, balanced", "other rows", one))
    for techniques in (1, 2, 69):
        one = partial(ridge, seed=seed, techniques=techniques, rows=150, seeds=10)
        found.append(World("ridge, 150 rows, error", "other rows", one))
    draw = partial(draw, rows=150, redrawn=True)
    for seeds in (3, 5, 10):
        one = partial(draw, seeds=seeds)
        found.append(World("ridge, features redrawn a run, error", "this table", one))
    for classify in (False, True):
        one = partial(draw, seeds=10, one_split=True, classify=classify)
        name = f"ridge, one split, {'accuracy' if classify else 'error'}"
        found.append(World(name, "this table", one))
    one = partial(ridge, seed=seed, techniques=15, rows=150, seeds=10, one_split=True)
    found.append(World("ridge, one split, arms that differ", "other rows", one))
    return found


def of_networks(pools: Pools, name: str, seeds: tuple[int, ...]) -> list[World]:
    """Networks with techniques, each less what it gains on average over the tables."""
    found, name = [], f"networks, {name}, {pools.metric}"
    for count in seeds:
        draw = partial(pools.sweep, seeds=count)
        if pools.outputs.left:
            alone = partial(_of_test, draw)
            found.append(World(f"{name}, test rows alone", "other rows", alone, pools.count))
            found.append(World(f"{name}, all unused rows", "other rows", draw, pools.count))
        else:
            found.append(World(name, "other rows", draw, pools.count))
    return found


def of_networks_again(pools: Pools, seed: int) -> list[World]:
    """Networks whose techniques are none, with other initial weights and batches."""
    draw = partial(pools.shuffled, seed=seed)
    found = []
    for techniques, seeds in ((1, 6), (2, 6), (15, 3), (15, 6), (15, 10), (15, 20)):
        one = partial(draw, techniques=techniques, seeds=seeds)
        name = f"networks, none again, {pools.metric}"
        found.append(World(name, "this table", one, tables=pools.count))
    return found


def _of_test(draw: Callable[[int], Sweep], number: int) -> Sweep:
    return draw(number).of_test


def beyond(seed: int) -> list[World]:
    """Worlds in which verdicts are wrong, as they are not what these speak of."""
    draw = partial(numbers, seed=seed, techniques=15)
    trained = partial(draw, seeds=6, null="other rows", of_seed=0.1)
    skewed = partial(draw, seeds=10, null="this table", tails="skewed", of_seed=1.0)
    return [
        World("normal, the training rows decide", "other rows", trained),
        World("seeds skewed", "this table", skewed),
        World(
            "seeds skewed, constant baseline", "this table", partial(skewed, constant_baseline=True)
        ),
    ]
