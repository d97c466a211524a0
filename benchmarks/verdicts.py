"""`python -m benchmarks.verdicts`: how often a verdict is wrong, and how often it finds an effect.

Sweeps are simulated and judged by `regexp.compare` as real ones. First no technique helps: how many
sweeps claim of some technique that it helps or hurts? Then one technique is better by the
difference that who knows the variances finds in 80% of the sweeps: in how many is it found?

Scores come from random numbers, from ridge regressions and from networks that are really trained on
many independent tables (`benchmarks/worlds`). Each sweep is judged in both scopes, *on this table*
and *on other rows*, and by the test of before: Nadeau and Bengio's with Holm's correction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from benchmarks.harness import make_parser, one_thread

one_thread()

from benchmarks.worlds import catalogue, networks, settings  # noqa: E402
from benchmarks.worlds.measures import (  # noqa: E402
    auto_rows,
    findings_row,
    looks_row,
    world_row,
)
from benchmarks.worlds.networks import METRICS  # noqa: E402
from benchmarks.worlds.pools import Pools  # noqa: E402
from benchmarks.worlds.ridge import ridge  # noqa: E402
from benchmarks.worlds.settings import Setting  # noqa: E402
from benchmarks.worlds.sweep import World  # noqa: E402


@dataclass(frozen=True)
class Networks:
    """Those that are trained, once they are asked for.

    Attributes:
        cache: a folder where what was trained is kept.
        smoke: a few small ones.
        seed: of tables and runs.
    """

    cache: Path | None
    smoke: bool
    seed: int

    def trained(self, setting: Setting) -> list[Pools]:
        """By metric."""
        setting = settings.small(setting) if self.smoke else setting
        outputs = networks.trained(setting, self.seed, self.cache)
        return [Pools(outputs, metric) for metric in METRICS]

    @cached_property
    def sampled(self) -> list[Pools]:
        return self.trained(settings.POOLS)

    @cached_property
    def full(self) -> list[Pools]:
        return self.trained(settings.FULL)

    @cached_property
    def again(self) -> list[Pools]:
        return self.trained(settings.AGAIN)

    @cached_property
    def default(self) -> list[Pools]:
        return self.trained(settings.DEFAULT)


WORLDS = """
No technique helps, but some verdict says that one helps or hurts: percent of sweeps. One helps by
what is found in 80% by who knows the variances, and the verdict says so: percent. In brackets what
is said of the table at hand where techniques are alike over tables alone: no false claim.

| scores | techniques | seeds | before | this table | other rows | before | table | rows | known |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""

LOOKS = """
No technique helps, and a sweep of 20 seeds is looked at with 4, 8, 12, 16 and 20: percent that are
wrong at some look. The runs of `seeds=auto` are percent of all.

| scores | scope | 20 seeds at once | each look at 5% | seeds added | auto | its runs |
|---|---|---:|---:|---:|---:|---:|"""

FINDINGS = """
Techniques as they are: right claims a sweep (and wrong ones).

| networks | seeds | before | this table | other rows |
|---|---:|---:|---:|---:|"""

AUTO = """
The same with 20 seeds and with `seeds=auto`, on the digits:

| scope | runs | right claims (and wrong ones) | runs of auto | its claims |
|---|---:|---:|---:|---:|"""


def main(arguments: list[str] | None = None) -> None:
    """Print the tables, in Markdown."""
    parser = make_parser(__name__, __doc__)
    parser.add_argument("--sweeps", type=int, default=300, help="simulated for each row")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    parser.add_argument("--cache", type=Path, help="a folder where trained networks are kept")
    options = parser.parse_args(arguments)
    sweeps, seed = 1 if options.smoke else options.sweeps, options.seed
    trained = Networks(options.cache, options.smoke, seed)

    print(WORLDS)
    for world in all_worlds(trained, seed):
        print(world_row(world, sweeps), flush=True)
    print(LOOKS)
    for world in looked_at(trained, seed):
        print(looks_row(world, -(-sweeps // 2)), flush=True)
    print(FINDINGS)
    for row in findings_rows(trained, seed, sweeps):
        print(row, flush=True)
    print(AUTO)
    pools, _ = trained.default
    draws = range(-(-sweeps // 6))
    orders = [pools.in_order(number, seed=seed, seeds=20) for number in draws]
    for row in auto_rows(orders, pools.gains):
        print(row, flush=True)


def all_worlds(trained: Networks, seed: int) -> Iterable[World]:
    """Of the first table."""
    yield from catalogue.of_numbers(seed)
    yield from catalogue.of_ridge(seed)
    for pools in trained.sampled:
        yield from catalogue.of_networks(pools, "100 of 540 rows", (6, 10))
    for pools in trained.full:
        yield from catalogue.of_networks(pools, "all 360 rows", (6,))
    for pools in trained.again:
        yield from catalogue.of_networks_again(pools, seed)
    yield from catalogue.beyond(seed)


def looked_at(trained: Networks, seed: int) -> Iterable[World]:
    """Of the second table."""
    draw = partial(ridge, seed=seed, techniques=15, seeds=20, rows=150)
    yield World("ridge, 150 rows, error", "other rows", draw)
    yield World("ridge, features redrawn a run", "this table", partial(draw, redrawn=True))
    for pools in trained.again:
        draw = partial(pools.shuffled, seed=seed, techniques=15, seeds=20)
        name = f"networks, none again, {pools.metric}"
        for null in ("this table", "other rows"):
            yield World(name, null, draw, tables=pools.count)


def findings_rows(trained: Networks, seed: int, sweeps: int) -> Iterable[str]:
    """Of the third table."""
    pools, _ = trained.default
    for seeds in (6, 10, 20):
        drawn = range(-(-sweeps // 6))
        orders = [pools.in_order(number, seed=seed, seeds=seeds) for number in drawn]
        alone = [order.of_test for order in orders]
        yield findings_row("digits, 300 rows, test rows alone", alone, pools.gains)
        yield findings_row("digits, 300 rows, all unused rows", orders, pools.gains)
    pools, _ = trained.sampled
    for seeds in (6, 10):
        tables = [pools.sweep(number, seeds=seeds, null=False) for number in range(pools.count)]
        alone = [table.of_test for table in tables]
        yield findings_row("many tables, 100 rows, test rows alone", alone, pools.gains)
        yield findings_row("many tables, 100 rows, all unused rows", tables, pools.gains)


if __name__ == "__main__":
    main()
