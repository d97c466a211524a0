"""Values of a job's configuration: its seeds, its grid, its name, and leaves as plain values."""

import pickle
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeGuard

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regexp.addresses import is_server
from regexp.errors import ConfigError, nearest, quoted

TIME = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h)")
SECONDS = {"s": 1, "min": 60, "h": 3600}

RUNS = 100_000
"""Of a job, at most: more would not fit into memory."""

AUTO = "auto"
"""The word by which the project decides: `seeds` of a sweep that stops when its techniques are
decided, the kind of steps (`trainer.step`), whether checkpoints go to the store."""

FIRST, STEP = 4, 4
"""Seeds of such a sweep's first look, and how many each further look adds."""

GROUPS = ("dataset", "model", "regularizer", "optimizer", "scheduler")

_WORD = re.compile(r"[\w.-]+")
"""What tells runs of a grid apart by itself; other texts would not be seen to be one value."""


def cocktail_name(techniques: Iterable[object]) -> str:
    """The name of techniques together: "none", "l1", "l1+dropout"."""
    return "+".join(map(str, techniques)) or "none"


def seeds_of(config: DictConfig) -> list[int]:
    """The seeds of a job: `seeds: 3` is [0, 1, 2]; a list stands for itself; of `auto` all that it
    may come to.

    Raises:
        ConfigError: not a positive integer, `auto`, nor a list of different integers >= 0.
    """
    seeds = config.seeds
    if seeds == AUTO:
        return list(range(_most_of(config)))
    if is_int(seeds) and 1 <= seeds <= RUNS:
        return list(range(seeds))
    if isinstance(seeds, ListConfig) and len(seeds):
        values = list(seeds)
        if all(is_int(seed) and seed >= 0 for seed in values) and len(set(values)) == len(values):
            return values
    raise ConfigError(
        f"seeds={shown(quoted(seeds))}: expected a number of seeds (seeds=10), "
        "a list of different integers >= 0 (seeds=[0,1,5]) or auto"
    )


def _most_of(config: DictConfig) -> int:
    """`seeds_max`, of a job with `seeds: auto`."""
    most: int = config.seeds_max
    if not FIRST <= most <= RUNS:
        raise ConfigError(
            f"seeds_max={most}: expected {FIRST} seeds, those of the first look, or more"
        )
    if config.tune.budget:
        raise ConfigError(
            f"seeds={AUTO}: tune.budget={config.tune.budget} chooses numbers for all seeds of a "
            "technique, before any of them; give a number of seeds"
        )
    return most


def seeds_at_looks(most: int) -> list[int]:
    """How many seeds a sweep with `seeds: auto` has at each look: 4, 8, 12, ... and `most`."""
    return [*range(FIRST, most, STEP), most]


def every_of(config: DictConfig) -> tuple[int | None, float | None]:
    """How often a checkpoint is written: (epochs, seconds); one of them, or neither for never.

    Raises:
        ConfigError: `checkpoint.every` is neither a number of epochs, a time, nor null.
    """
    every = config.checkpoint.every
    if every is None:
        return None, None
    if is_int(every) and every >= 1:
        return every, None
    if isinstance(every, str) and (time := TIME.fullmatch(every)) and float(time[1]) > 0:
        return None, float(time[1]) * SECONDS[time[2]]
    raise ConfigError(
        f"checkpoint.every={shown(every)}: expected a number of epochs (10), a time (30s, 5min "
        "or 1h) or null for never"
    )


def stores_checkpoints(config: DictConfig) -> bool:
    """Whether working checkpoints are copied into the store of runs: see `checkpoint.store`."""
    wanted = config.checkpoint.store
    return is_server(config.tracking.uri or "") if wanted == AUTO else bool(wanted)


def yardsticks_of(config: DictConfig) -> bool | None:
    """Which yardsticks stand beside a sweep's techniques: all, none, or None for the quick ones.

    Raises:
        ConfigError: `yardsticks` is neither true, false nor auto.
    """
    wanted = config.yardsticks
    if wanted == "auto":
        return None
    if isinstance(wanted, bool):
        return wanted
    raise ConfigError(key="yardsticks", got=shown(wanted), expected="true, false or auto")


def grid_of(config: DictConfig) -> dict[str, list[Any]]:
    """The grid of a job, dotted: {"regularizer.l1.strength": [1e-4, 1e-3]}.

    Raises:
        ConfigError: a key that a grid does not vary, or values that are not a list of different
            numbers, or of different words where the configuration has one.
    """
    grid: dict[str, list[Any]] = {}
    if not config.grid:
        return grid
    present = dict(flat(config))
    for key, values in flat(config.grid):
        known = [name for name, value in present.items() if fits_grid(name, value)]
        if key not in known:
            raise ConfigError(
                f"grid.{key}: expected the key of a number of this job's runs, or of a word or "
                "flag of a technique" + nearest(key, known)
            )
        if not isinstance(values, Sequence | ListConfig) or isinstance(values, str):
            raise ConfigError(
                f"grid.{key}={shown(values)}: expected a list of values in brackets, "
                f"such as grid.{key}=[{shown(present[key])}]"
            )
        given = list(values)
        numbers = is_number(present[key])
        if not given or not all(
            fits_grid(key, value) and is_number(value) is numbers for value in given
        ):
            what = "numbers" if numbers else "words or flags"
            raise ConfigError(f"grid.{key}={shown(values)}: expected one or more {what}")
        if len({called(value) for value in given}) < len(given):
            raise ConfigError(
                f"grid.{key}={shown(values)}: expected values that differ, numbers in six digits, "
                "by which runs are called"
            )
        grid[key] = given
    return grid


def fits_grid(key: str, value: object) -> bool:
    """Whether a grid may vary a key that has this value.

    It does numbers of a run, not of the machine or the search, and words and flags of techniques.
    """
    parts = key.split(".")
    group, last = parts[0], parts[-1]
    ours = group in GROUPS or key in ("trainer.epochs", "trainer.batch_size")
    if not ours or ".search." in key:
        return False
    word = isinstance(value, bool) or (isinstance(value, str) and _WORD.fullmatch(value))
    return is_number(value) or bool(word and group == "regularizer" and not last.startswith("_"))


def called(value: object) -> str:
    """A value of a grid as the names of runs have it."""
    return f"{value:g}" if isinstance(value, float) else shown(value)


def flat(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of a configuration as (dotted key, value); lists are leaves, `???` is skipped."""
    for key in map(str, node):
        if OmegaConf.is_missing(node, key):
            continue
        name = f"{prefix}{key}"
        try:
            value = node[key]
        except OmegaConfBaseException:  # ${lengths.steps} before the data are known
            continue
        if isinstance(value, DictConfig):
            yield from flat(value, f"{name}.")
        else:
            yield name, value


def is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def shown(value: object) -> str:
    """A value as one would write it on the command line."""
    return "null" if value is None else str(as_container(value))


def as_container(value: object) -> Any:
    """A value; a node of OmegaConf as a plain list or mapping, its references as written."""
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def copied(config: DictConfig) -> DictConfig:
    """A copy of a whole configuration, in a third of the time that its own `copy` takes."""
    copy = pickle.loads(pickle.dumps(config, pickle.HIGHEST_PROTOCOL))
    assert isinstance(copy, DictConfig)
    return copy


def plain(node: DictConfig, *, resolve: bool = True) -> dict[str, Any]:
    """A node as plain containers, its interpolations resolved or as written."""
    container = OmegaConf.to_container(node, resolve=resolve)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}
