"""What the overrides of a sweep say of one of its jobs: what it varies, and what is not for it."""

import re
from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from regexp.config.values import copied, fits_grid, shown
from regexp.errors import ConfigError, nearest

# Keys that Hydra wants a plus for, because the composed configuration may not have them.
_NEW = re.compile(r"(grid|tune\.search|search\.space|regularizer\.\w+)\.[^=]+=")
_OF_TUNING = re.compile(r"tune\.(search|seeds)\b|regularizer\.\w+\.search\b")


def split_override(override: str) -> tuple[str, str]:
    """(the key that an override is of, without Hydra's sign before it; its value)"""
    key, _, value = override.lstrip("+~").partition("=")
    return key, value


def with_plus(override: str) -> str:
    """An override with Hydra's `++` where the composed configuration may not have its key.

    As the grid, which is empty by default, or a technique that only some jobs of a sweep have.
    """
    return f"++{override}" if _NEW.match(override) else override


def check_quotes(override: str, searched: str, key: str) -> None:
    """Refuse a range that Hydra would take for a sweep.

    Args:
        override: of the command line.
        searched: a pattern of keys whose ranges are texts.
        key: of an example.

    Raises:
        ConfigError: it is one.
    """
    if re.match(rf"\+*({searched})\.[\w.]+=\s*(interval|tag|int|choice|range)\(", override):
        raise ConfigError(
            f"{override.lstrip('+')}: a range is a text here and no sweep, so that it needs quotes "
            f"inside quotes: '{key}=\"interval(0.001, 0.1)\"'"
        )


def override_key(override: str) -> str:
    """The key that an override is of."""
    return split_override(override)[0]


@lru_cache(maxsize=1000)
def parsed_override(override: str) -> Override:
    """An override as Hydra reads it; jobs have most of theirs alike, and each is asked for twice.

    Raises:
        OverrideParseException: it is not of Hydra's grammar.
        ValueError: of Python's, at an integer of thousands of digits.
    """
    [parsed] = OverridesParser.create().parse_overrides([override])
    return parsed


def without_strays(config: DictConfig) -> DictConfig:
    """Drop what overrides say of techniques that this job does not have (no `_target_`)."""
    strays = strays_of(config)
    if strays:
        config = copied(config)
        with read_write(config), open_dict(config):
            for name in strays:
                for node in _techniques(config):
                    node.pop(name, None)
    return config


def strays_of(config: DictConfig) -> list[str]:
    """Techniques of which a job has overrides or a grid, but which it does not have."""
    names = {str(name): None for node in _techniques(config) for name in node}
    given = config.get("regularizer")

    def is_stray(name: str) -> bool:
        if not isinstance(given, DictConfig) or name not in given:
            return True
        return isinstance(given[name], DictConfig) and "_target_" not in given[name]

    return [name for name in names if is_stray(name)]


def check_strays(
    strays: Collection[str],
    overrides: Sequence[str],
    jobs: Sequence[Iterable[Any]],
    known: Sequence[str],
) -> None:
    """Check that every technique which overrides name is one of some job, and that there is every
    one that a file names; those that no job has may rest.

    Args:
        strays: what jobs have values of, and not the technique.
        overrides: of the command.
        jobs: the names of the techniques of each.
        known: the choices of the group.

    Raises:
        ConfigError: one is not.
    """
    keys = (override_key(override).removeprefix("grid.").split(".") for override in overrides)
    named = {parts[1] for parts in keys if parts[0] == "regularizer" and len(parts) > 1}
    present = {str(technique) for job in jobs for technique in job}
    for stray in sorted({*strays} - present if jobs else ()):
        if stray in named:
            raise ConfigError(
                f"regularizer.{stray}: "
                + ("no job of this sweep has" if len(jobs) > 1 else "this job does not have")
                + f" the technique {stray}; it has {' and '.join(sorted(present)) or 'none'}. "
                f"Choose it by regularizer={stray}"
            )
        if stray not in known:
            raise ConfigError(
                f"there is no such technique{nearest(stray, known)}", key=f"regularizer.{stray}"
            )


def check_used(overrides: Sequence[str], configs: Iterable[DictConfig]) -> None:
    """Check that some job looks at what overrides say of tuning, of `seeds=auto` and of a search.

    What an experiment's file says of them may rest: it is there for whoever turns them on.

    Raises:
        ConfigError: no job does.
    """
    configs = list(configs)
    tuned = any(config.tune.budget for config in configs)
    until_decided = any(config.seeds == "auto" for config in configs)
    for override in overrides:
        key = override_key(override)
        if key.startswith("search."):
            raise ConfigError("it is for regexp search alone", key=key, cure="leave it out")
        if _OF_TUNING.match(key) and not tuned:
            raise ConfigError(
                "nothing is tuned, as tune.budget is 0", key=key,
                cure="give the configurations that each technique tries, such as tune.budget=30, "
                "or leave it out",
            )  # fmt: skip
        if key == "seeds_max" and not until_decided:
            problem = f"it is for seeds=auto, and there is seeds={shown(configs[0].seeds)}"
            raise ConfigError(problem, key=key, cure="leave one of the two out")


def _techniques(config: DictConfig) -> list[DictConfig]:
    """The mappings of a job that have techniques as their keys, as far as they are there."""
    grid = config.get("grid")
    nodes = [config.get("regularizer"), isinstance(grid, DictConfig) and grid.get("regularizer")]
    return [node for node in nodes if isinstance(node, DictConfig)]


def with_setting(
    config: DictConfig, overrides: Sequence[str], swept: Sequence[str]
) -> tuple[DictConfig, str]:
    """What a job has of the swept keys, for people: "optimizer.lr=0.01, model=cnn".

    The regularizer and the dataset are told apart anyway. A swept number, word or flag of a
    technique becomes a grid of one point, so that it is compared as grids are.

    Returns:
        (the configuration, the setting)
    """
    setting, points = [], {}
    for override in overrides:
        key, value = split_override(override)
        if key not in swept or key in ("regularizer", "dataset"):
            continue
        number = OmegaConf.select(config, key)
        if not key.startswith("regularizer."):
            setting.append(f"{key}={value}")
        elif fits_grid(key, number) and OmegaConf.select(config, f"grid.{key}") is None:
            points[key] = number
        elif number is not None:
            setting.append(f"{key}={value}")
    if points:
        config = copied(config)
        for key, number in points.items():
            OmegaConf.update(config, f"grid.{key}", [number], force_add=True)
    return config, ", ".join(setting)
