"""What a search starts from: a configuration without techniques, and the nodes that it may get."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from regexp.config.composition import (
    check_choices,
    check_launcher,
    fit_to_launcher,
    load_config,
)
from regexp.config.prepared import job_of, prepared_hydra
from regexp.config.refusals import explain_hydra
from regexp.config.schema import register
from regexp.config.strays import check_quotes, override_key, split_override, strays_of
from regexp.config.validation import validate
from regexp.config.values import SECONDS, TIME, flat, shown
from regexp.errors import ConfigError, nearest

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra


_OF_SWEEPS = {
    "seeds": "search.seeds, for its verdict",
    "seeds_max": "search.seeds, for its verdict",
    "tune.seeds": "search.seeds, for its verdict",
    "tune.search": "search.space",
    "compare.factor": "",
    "compare.baseline": "",
}
"""Keys that a search has no use for, and what it has instead."""

_ONE_JOB = "a search is one job; give a command for each dataset"

CHOSEN = ("model", "scheduler")
"""Groups of which a recipe has one node or another, by `search.models` and `search.schedulers`."""


@dataclass(frozen=True)
class Searched:
    """What a search starts from.

    Attributes:
        config: composed and checked, not resolved; without a technique.
        techniques: the nodes of those that may take part, by name.
        nodes: of each of `CHOSEN` those that take part, by name; the configuration's own is first.
        choices: of the configuration's groups, by group.
        command: the overrides.
        options: of the command line.
        master: the configuration with Hydra's own node, where another launcher than Hydra's basic
            one is to start processes that take part.
    """

    config: DictConfig
    techniques: dict[str, DictConfig]
    nodes: dict[str, dict[str, DictConfig]]
    choices: dict[str, object]
    command: tuple[str, ...]
    options: argparse.Namespace
    master: DictConfig | None = None

    @cached_property
    def plain(self) -> DictConfig:
        """The configuration of the same dataset and nothing else given, composed when asked for."""
        return self.with_choices({})

    @property
    def folders(self) -> list[str]:
        """Of configurations beside the package's, for a command whose `--config-dir` is another."""
        own = self.options.config_dir
        found = [str(Path(own).resolve())] if own else []
        for override in self.command:
            key, text = split_override(override)
            if key == "hydra.searchpath":
                value = OverridesParser.create().parse_override(f"key={text}").value()
                found += map(str, value if isinstance(value, list) else [value])
        return found

    def with_choices(
        self, choices: Mapping[str, object], techniques: Iterable[str] = ()
    ) -> DictConfig:
        """The configuration of the same dataset with choices of other groups, and no number given.

        Args:
            choices: by group; None of one that has no choice.
            techniques: by name; one that is no choice, as the command line may have made it, is
                left out.
        """
        options = self.options
        given = [one for one in self.command if override_key(one) == "hydra.searchpath"]
        given += [f"{group}={'null' if choice is None else choice}"
                  for group, choice in choices.items()]  # fmt: skip
        with prepared_hydra(options.config_path, options.config_dir) as hydra:
            known = hydra.config_loader.get_group_options("regularizer")
            names = ",".join(name for name in techniques if name in known)
            given += [f"dataset={self.choices['dataset']}", f"regularizer=[{names}]"]
            return job_of(_load(hydra, options.config_name, given)).config


def _other(
    hydra: Hydra, config_name: str, overrides: Sequence[str], group: str, name: str
) -> DictConfig:
    """Another choice of a group, with those of its values that the command says and it has."""
    own = [one for one in overrides if override_key(one).startswith(f"{group}.")]
    rest = [one for one in overrides if one not in own] + [f"{group}={name}"]
    plain: DictConfig = _load(hydra, config_name, rest)[group]
    keys = {f"{group}.{key}" for key, _ in flat(plain)}
    has = [one for one in own if override_key(one) in keys]
    return _load(hydra, config_name, [*has, *rest])[group] if has else plain


def compose_search(options: argparse.Namespace) -> Searched:
    """Compose and check what a search starts from.

    Raises:
        ConfigError: the first thing that is wrong, in words.
    """
    register()
    overrides = list(options.overrides)
    given = [override_key(one) for one in overrides]
    if options.multirun:
        raise ConfigError(f"-m: {_ONE_JOB}")
    if "regularizer" in given:
        raise ConfigError(
            "a search says itself which techniques there are; give those that take part by "
            "search.techniques=[...]",
            key="regularizer",
        )
    for key, instead in _OF_SWEEPS.items():
        if any(f"{one}.".startswith(f"{key}.") for one in given):
            cure = f"leave it out, or give {instead}" if instead else "leave it out"
            raise ConfigError("a search says this itself", key=key, cure=cure)
    for override in overrides:
        check_quotes(override, r"search\.space|regularizer", "search.space.optimizer.lr")
    with prepared_hydra(options.config_path, options.config_dir) as hydra:
        try:
            check_choices(hydra, overrides)
            names = [name for name in hydra.config_loader.get_group_options("regularizer")
                     if name != "none"]  # fmt: skip
            every = f"regularizer=[{','.join(names)}]"
            whole = _load(hydra, options.config_name, [*overrides, every])
            composed = job_of(whole)
            config = composed.config
            if strays := strays_of(config):
                raise ConfigError(
                    f"there is no technique {strays[0]}{nearest(strays[0], names)}",
                    key=f"regularizer.{strays[0]}",
                )
            techniques = {str(name): config.regularizer[name] for name in config.regularizer}
            asked = _names("search.techniques", config.search.techniques, techniques)
            if not asked and config.search.techniques is not None:
                raise ConfigError(
                    key="search.techniques", got="[]",
                    expected="names, or null for all that apply",
                )  # fmt: skip
            schedulers = hydra.config_loader.get_group_options("scheduler")
            _check_portfolio(config.search.portfolio, techniques, schedulers)
            nodes = {group: {str(composed.choices[group]): config[group]} for group in CHOSEN}
            for group, known in nodes.items():
                choices = hydra.config_loader.get_group_options(group)
                for name in _names(f"search.{group}s", config.search[f"{group}s"], choices):
                    if name not in known:
                        known[name] = _other(hydra, options.config_name, overrides, group, name)
            master = None
            if not str(whole.hydra.launcher._target_).endswith(".BasicLauncher"):
                master = load_config(hydra, options.config_name, overrides, RunMode.MULTIRUN)
                check_launcher(master)
                fit_to_launcher(config, master.hydra.launcher)
        except (HydraException, OmegaConfBaseException) as error:
            several = _ONE_JOB.capitalize()
            words = explain_hydra(error, hydra, options.config_name, overrides, several)
            raise ConfigError(words) from error
    with read_write(config), open_dict(config):
        if "search.trials" in given and "search.budget" not in given:
            config.search.budget = None  # an experiment's, which would end the search
        config.regularizer = {}  # the nodes of the techniques stay as they are
    _check(config)
    config.seeds = 1  # the search has its own
    validate(config)
    return Searched(
        config,
        {name: techniques[name] for name in (asked or techniques)},
        nodes,
        composed.choices,
        tuple(overrides),
        options,
        master,
    )


def _load(hydra: Hydra, name: str, overrides: Sequence[str]) -> DictConfig:
    return load_config(hydra, name, overrides, RunMode.RUN)


def _names(key: str, value: object, choices: Sequence[str] | dict[str, DictConfig]) -> list[str]:
    """A list of names of choices; none of null."""
    if value is None:
        return []
    names = list(map(str, value if isinstance(value, ListConfig | list) else [value]))
    for name in names:
        if name not in choices:
            raise ConfigError(
                f"there is none of this name{nearest(name, choices)}", key=key, got=name
            )
    return names


def _check_portfolio(
    portfolio: object, techniques: dict[str, DictConfig], schedulers: Sequence[str]
) -> None:
    """Check that it is a list of recipes, of techniques and schedules that there are."""
    if portfolio is None:
        return
    if not isinstance(portfolio, ListConfig):
        given = shown(portfolio)
        raise ConfigError(key="search.portfolio", got=given, expected="a list of recipes, or null")
    for number, entry in enumerate(portfolio):
        key = f"search.portfolio[{number}]"
        parts = ("scheduler", "optimizer", "trainer", "model", "regularizer")
        if not isinstance(entry, DictConfig) or not {*entry} <= {*parts}:
            raise ConfigError(
                key=key, got=shown(entry), expected=f"a mapping with some of {', '.join(parts)}"
            )
        for part in parts[1:]:
            if not isinstance(entry.get(part) or {}, DictConfig | dict):
                raise ConfigError(key=f"{key}.{part}", got=shown(entry[part]), expected="a mapping")
        _names(f"{key}.scheduler", entry.get("scheduler"), schedulers)
        nodes = entry.get("regularizer") or {}
        _names(f"{key}.regularizer", [*nodes], techniques)
        for name, node in nodes.items():
            if not isinstance(node or {}, DictConfig | dict):
                raise ConfigError(
                    key=f"{key}.regularizer.{name}", got=shown(node),
                    expected="a mapping of its numbers, or null for its own",
                )  # fmt: skip


def budget_of(config: DictConfig) -> float | None:
    """`search.budget` in seconds; None where trials are counted.

    Raises:
        ConfigError: it is no time.
    """
    budget = config.search.budget
    if budget is None:
        return None
    if (time := TIME.fullmatch(str(budget))) and float(time[1]) > 0:
        return float(time[1]) * SECONDS[time[2]]
    raise ConfigError(
        key="search.budget", got=shown(budget), expected="a time (90s, 30min or 2h), or null"
    )


def _check(config: DictConfig) -> None:
    """Check `search`, and that nothing else searches or says which runs there are."""
    budget_of(config)
    for key, least in (("trials", 1), ("batch", 2), ("parallel", 1), ("workers", 1),
                       ("together", 1), ("most", 1), ("finalists", 1), ("seeds", 2),
                       ("seed", 0)):  # fmt: skip
        value = config.search[key]
        if value is not None and value < least:
            raise ConfigError(key=f"search.{key}", got=value, expected=f"an integer >= {least}")
    _check_rungs(config)
    for key, nothing in (("tune.budget", 0), ("grid", {}), ("trainer.bars", None)):
        if OmegaConf.select(config, key) != nothing:
            raise ConfigError(
                "regexp search searches by itself; leave it out", key=key,
                got=shown(OmegaConf.select(config, key)),
            )  # fmt: skip


def _check_rungs(config: DictConfig) -> None:
    """Check `search.rungs`."""
    eta, first, epochs = config.search.rungs.eta, config.search.rungs.first, config.trainer.epochs
    if eta is not None and eta < 2:
        raise ConfigError(key="search.rungs.eta", got=eta, expected="an integer >= 2, or null")
    if eta is not None and first is not None and not 1 <= first <= epochs // eta:
        raise ConfigError(
            key="search.rungs.first", got=first,
            expected=f"null, or epochs that {eta} times (search.rungs.eta) are not more than "
            f"trainer.epochs={epochs}",
        )  # fmt: skip
