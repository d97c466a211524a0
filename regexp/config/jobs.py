"""From the arguments of the command line to the configuration of every job, with Hydra's own rules.

A sweep is composed as a whole before anything starts: Hydra's sweeper splits the overrides, every
job's configuration is composed and checked, and the first mistake ends the command with one
message. Imports neither torch nor MLflow, so that `--help` and completion are quick.
"""

import argparse
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from regexp.config.checks import check_schema
from regexp.config.composition import (
    CONFIG_NAME,
    check_choices,
    explain,
    load,
    seed_sampler,
    without_hydra,
)
from regexp.config.schema import conf_folder, register
from regexp.config.search_space import check_swept
from regexp.config.strays import strays_of, technique_of, without_strays
from regexp.config.validation import validate
from regexp.errors import ConfigError

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

JOBS = 10_000  # of a sweep, at most: each is composed and checked before the first starts


@dataclass(frozen=True)
class Job:
    """What Hydra launches once.

    Attributes:
        overrides: what the sweeper gives this job.
        config: composed, checked, not resolved; without Hydra's own node.
    """

    overrides: tuple[str, ...]
    config: DictConfig

    @property
    def technique(self) -> str:
        """The name of the job's regularizer: "none", "l1", "l1+dropout"."""
        return technique_of(self.config)


@dataclass(frozen=True)
class Sweep:
    """The jobs of one command.

    Attributes:
        jobs: in the order in which they are launched; empty if only the sweeper knows them.
        config: what the jobs have in common; the first job's where they are known.
        name: for people: the experiment's name, or what is swept.
        command: the arguments that make this sweep.
        swept: the keys that differ from job to job.
        seeding: what Hydra is told beside the arguments, so that a sweeper draws the same again.
    """

    jobs: tuple[Job, ...]
    config: DictConfig
    name: str
    command: tuple[str, ...]
    swept: tuple[str, ...] = ()
    seeding: tuple[str, ...] = ()


def written(overrides: Sequence[str]) -> str:
    """Overrides as a user writes them, without the pluses of `parse`."""
    return " ".join(override.removeprefix("++") for override in overrides)


def compose(options: argparse.Namespace) -> Sweep:
    """Compose and check every job that `options` ask for.

    Raises:
        ConfigError: the first thing that is wrong, in words.
    """
    register()
    name = options.config_name or CONFIG_NAME
    with _hydra(options) as hydra:
        overrides = list(options.overrides)
        try:
            check_choices(hydra, overrides)
            mode = hydra.get_mode(config_name=name, overrides=overrides)
            if not (options.multirun or mode == RunMode.MULTIRUN):
                return _sweep(hydra, name, overrides, (), [overrides])
            master = load(hydra, name, overrides, RunMode.MULTIRUN)
            seeding = seed_sampler(master)
            swept, batches = _split(hydra, master)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error, hydra, name, overrides)) from error
        return replace(_sweep(hydra, name, overrides, swept, batches, master), seeding=seeding)


def compose_one(options: argparse.Namespace) -> DictConfig:
    """The configuration that `options` ask for, of no job: only the schema checks it."""
    register()
    name = options.config_name or CONFIG_NAME
    with _hydra(options) as hydra:
        try:
            check_choices(hydra, options.overrides)
            config = without_hydra(load(hydra, name, options.overrides, RunMode.RUN))
            check_schema(config)
            return config
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain(error, hydra, name, options.overrides)) from error


@contextmanager
def _hydra(options: argparse.Namespace) -> "Iterator[Hydra]":
    """Hydra with the search path that `hydra.main` would give it."""
    from hydra._internal.hydra import Hydra
    from hydra.core.global_hydra import GlobalHydra

    folder = Path(options.config_path).resolve() if options.config_path else conf_folder()
    path = create_automatic_config_search_path(None, None, str(folder))
    if options.config_dir is not None:
        extra = Path(options.config_dir).resolve()
        if not extra.is_dir():
            raise ConfigError(f"--config-dir {options.config_dir}: there is no such folder")
        path.prepend("command-line", f"file://{extra}", SearchPathQuery(provider="schema"))
    GlobalHydra.instance().clear()
    try:
        yield Hydra.create_main_hydra2(task_name="regexp", config_search_path=path)
    except RecursionError as error:
        raise ConfigError("an override has brackets nested too deeply to be read") from error
    finally:
        GlobalHydra.instance().clear()


def _sweep(
    hydra: "Hydra",
    name: str,
    overrides: list[str],
    swept: tuple[str, ...],
    batches: list[list[str]] | None,
    master: DictConfig | None = None,
) -> Sweep:
    """Compose each of `batches` (the overrides of one job each) and check it."""
    if batches is not None and not batches:
        raise ConfigError(
            f"{written(overrides)}: a glob that matches no choice, so there is no job; "
            "see regexp --help"
        )
    jobs = []
    strays: set[str] = set()
    title = ""
    for batch in batches or []:
        where = f" (in the job {written(batch)})" if len(batches or []) > 1 else ""
        try:
            check_choices(hydra, batch)
            config = load(hydra, name, batch, RunMode.RUN)
            title = title or str(config.hydra.runtime.choices.get("experiment") or "")
            config = without_hydra(config)
            strays.update(strays_of(config))
            config = without_strays(config)
            validate(config)
            check_swept(config, swept)
        except ConfigError as error:
            raise ConfigError(f"{error}{where}") from error
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"{explain(error, hydra, name, batch)}{where}") from error
        jobs.append(Job(tuple(batch), config))
    present = {str(technique) for job in jobs for technique in job.config.regularizer}
    for stray in sorted(strays - present if jobs else ()):
        raise ConfigError(
            f"regularizer.{stray}: "
            + ("no job of this sweep has" if len(jobs) > 1 else "this job does not have")
            + f" the technique {stray}; it has {' and '.join(sorted(present)) or 'none'}. "
            f"Choose it by regularizer={stray}"
        )
    if not title or title == "None":
        title = written(overrides) or (jobs[0].technique if jobs else "sweep")
    if jobs or master is None:
        common = jobs[0].config
    else:
        common = without_hydra(master)
    return Sweep(tuple(jobs), common, title, tuple(overrides), swept)


def _split(hydra: "Hydra", master: DictConfig) -> tuple[tuple[str, ...], list[list[str]] | None]:
    """(keys that are swept, the overrides of each job as Hydra's basic sweeper splits them).

    Any other sweeper chooses its jobs while it runs: None.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    sweeper = master.hydra.sweeper
    arguments = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    arguments += list(master.hydra.overrides.task)
    parsed = OverridesParser.create(config_loader=hydra.config_loader).parse_overrides(arguments)
    keys = {one.get_key_element().lstrip("+"): one.is_sweep_override() for one in parsed}
    swept = tuple(key for key, several in keys.items() if several)
    if not str(sweeper["_target_"]).endswith(".BasicSweeper"):
        return swept, None
    jobs = 1
    for one in parsed:
        if one.is_sweep_override() and not one.is_interval_sweep():
            jobs *= sum(1 for _ in itertools.islice(one.sweep_iterator(), JOBS + 1))
        if jobs > JOBS:
            raise ConfigError(
                f"{one.input_line}: makes a sweep of more than {JOBS:,} jobs; for numbers, "
                "grid.KEY=[...] trains them in one job"
            )
    return swept, BasicSweeper.split_arguments(parsed, None)[0]
