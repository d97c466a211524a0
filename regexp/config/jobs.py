"""From the arguments of the command line to the configuration of every job, with Hydra's own rules.

A sweep is composed as a whole before anything starts: Hydra's sweeper splits the overrides, every
job's configuration is composed and checked, and the first mistake ends the command with one
message. Imports neither torch nor MLflow, so that `--help` and completion are quick.
"""

import argparse
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from regexp.config.checks import check_schema
from regexp.config.composition import (
    check_choices,
    check_launcher,
    fit_to_launcher,
    load_config,
    seed_sampler,
)
from regexp.config.hydra_node import without_hydra
from regexp.config.prepared import PreparedLoader, job_of, prepared_hydra
from regexp.config.refusals import explain_hydra
from regexp.config.schema import register
from regexp.config.search_space import check_swept
from regexp.config.strays import (
    check_quotes,
    check_strays,
    check_used,
    override_key,
    strays_of,
    with_plus,
    with_setting,
    without_strays,
)
from regexp.config.validation import validate
from regexp.config.values import cocktail_name
from regexp.errors import ConfigError

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

JOBS = 10_000  # of a sweep, at most: each is composed and checked before the first starts


@dataclass(frozen=True)
class Job:
    """What Hydra launches once.

    Attributes:
        overrides: what the sweeper gives this job.
        config: composed, checked, not resolved; without Hydra's own node. A number of a technique
            that the sweep varies is in it a grid of one point.
        setting: what beside techniques and dataset the sweep varies in it, for people.
        choices: of the configuration's groups, by group.
        hydra: Hydra's own node, where a choice that is swept says something of it; else it is that
            of the sweep.
    """

    overrides: tuple[str, ...]
    config: DictConfig
    setting: str = ""
    choices: dict[str, object] = field(default_factory=dict)
    hydra: DictConfig | None = None

    @property
    def technique(self) -> str:
        """The name of the job's techniques."""
        return cocktail_name(self.config.regularizer)


@dataclass(frozen=True)
class Sweep:
    """The jobs of one command.

    Attributes:
        jobs: in the order in which they are launched; empty if only the sweeper knows them.
        config: what the jobs have in common; the first job's where they are known.
        name: for people: the experiment's name, or what is swept.
        command: the overrides that make this sweep.
        options: Hydra's options of the command line.
        master: the configuration with Hydra's own node, which says how jobs are launched.
        multirun: whether a launcher starts the jobs; else there is one, and Hydra runs it.
        swept: the keys that differ from job to job.
        seeding: what Hydra is told beside the overrides, so that a sweeper draws the same again.
    """

    jobs: tuple[Job, ...]
    config: DictConfig
    name: str
    command: tuple[str, ...]
    options: argparse.Namespace
    master: DictConfig
    multirun: bool = False
    swept: tuple[str, ...] = ()
    seeding: tuple[str, ...] = ()


def written(overrides: Sequence[str]) -> str:
    """Overrides as a user writes them, without the pluses of `parse`."""
    return " ".join(override.removeprefix("++") for override in overrides)


def compose(
    options: argparse.Namespace, begun: Callable[[DictConfig, int], None] = lambda *_: None
) -> Sweep:
    """Compose and check every job that `options` ask for.

    Args:
        options: see `regexp.commands.arguments.parse`.
        begun: called before the jobs are checked, which imports what they name, with the
            configuration that has Hydra's own node, and how many jobs there are.

    Raises:
        ConfigError: the first thing that is wrong, in words.
    """
    register()
    name = options.config_name
    overrides = list(options.overrides)
    for override in overrides:
        if re.match(r"[+~]*launch(?!\.(?:retries|jobs_per_task)=)\b", override):
            raise ConfigError("the command fills it in for its jobs; leave it out", key=override)
        check_quotes(override, r"tune\.search|regularizer\.\w+\.search", "tune.search.optimizer.lr")
    with prepared_hydra(options.config_path, options.config_dir) as hydra:
        try:
            check_choices(hydra, overrides)
            master, multirun = _master(hydra, name, overrides, options.multirun)
            if master.hydra.job.chdir:
                raise ConfigError(
                    "jobs in folders of their own would look for data and checkpoints there",
                    key="hydra.job.chdir", got=True, cure="leave it out",
                )  # fmt: skip
            if multirun:
                check_launcher(master)
            seeding = seed_sampler(master) if multirun else ()
            swept, batches = _split(hydra, master) if multirun else ((), [overrides])
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain_hydra(error, hydra, name, overrides)) from error
        if batches is not None and not batches:
            raise ConfigError(
                f"{written(overrides)}: a glob that matches no choice, so there is no job; "
                "see regexp --help"
            )
        begun(master, len(batches or []))
        jobs, strays = _jobs(hydra, name, batches or [], swept, master, multirun)
        known = hydra.config_loader.get_group_options("regularizer") if strays else []
    check_strays(strays, overrides, [job.config.regularizer for job in jobs], known)
    titles = [str(job.choices.get("experiment") or "") for job in jobs]
    title = next((title for title in titles if title and title != "None"), "")
    if not title:
        title = written(overrides) or (jobs[0].technique if jobs else "sweep")
    common = jobs[0].config if jobs else without_hydra(master)
    check_used(overrides, [job.config for job in jobs] or [common])
    return Sweep(
        tuple(jobs), common, title, tuple(overrides), options, master, multirun, swept, seeding
    )


def _master(
    hydra: "Hydra", name: str, overrides: list[str], multirun: bool
) -> tuple[DictConfig, bool]:
    """The configuration with Hydra's own node, and whether a launcher starts the jobs.

    It does with --multirun, and where `hydra.mode` says so.
    """
    if not multirun:
        try:
            master = load_config(hydra, name, overrides, RunMode.RUN)
            if master.hydra.mode != RunMode.MULTIRUN:
                return master, False
        except HydraException:  # overrides with several values, which only a multirun has
            if hydra.get_mode(config_name=name, overrides=overrides) != RunMode.MULTIRUN:
                raise
    return load_config(hydra, name, overrides, RunMode.MULTIRUN), True


def _jobs(
    hydra: "Hydra",
    name: str,
    batches: list[list[str]],
    swept: tuple[str, ...],
    master: DictConfig,
    multirun: bool,
) -> tuple[list[Job], set[str]]:
    """Compose and check a job of each of `batches`, which are the overrides of one each.

    Args:
        master: the sweep's own configuration; that of its job, unless this is a multirun.

    Returns:
        (the jobs, the techniques of which some have overrides without having the technique)
    """
    assert isinstance(hydra.config_loader, PreparedLoader)
    jobs: list[Job] = []
    strays: set[str] = set()
    checked: set[str] = set()
    valid: set[str] = set()
    files = {f"{group}/{choice}" for group, choice in master.hydra.runtime.choices.items()} | {name}
    for batch in batches:
        where = written(batch) if len(batches) > 1 else ""
        try:
            if multirun:
                check_choices(hydra, [override for override in batch if override not in checked])
                checked.update(batch)
                composed = hydra.config_loader.compose_job(name, batch)
            else:
                composed = job_of(master)
            strays.update(strays_of(composed.config))
            if multirun:
                fit_to_launcher(composed.config, master.hydra.launcher)
            config, setting = checked_job(composed.config, batch, swept, valid)
            node = None
            if composed.of_hydra - files:
                node = load_config(hydra, name, batch, RunMode.RUN).hydra
                if multirun and node.sweeper.get("params") != master.hydra.sweeper.get("params"):
                    raise ConfigError(
                        "it has a sweep of its own, which a sweep of experiments leaves out",
                        key=f"experiment={composed.choices.get('experiment')}",
                        cure="give a command for each",
                    )
        except ConfigError as error:
            error.job = where
            raise
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain_hydra(error, hydra, name, batch), job=where) from error
        jobs.append(Job(tuple(batch), config, setting, composed.choices, node))
    return jobs, strays


def checked_job(
    config: DictConfig,
    overrides: Sequence[str],
    swept: Sequence[str],
    valid: set[str] | None = None,
) -> tuple[DictConfig, str]:
    """A job's configuration as it is trained, and its setting; see `Job`.

    Args:
        config: composed, without Hydra's own node.
        overrides: the job's.
        swept: the keys that differ from job to job.
        valid: see `validate`.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    config = without_strays(config)
    validate(config, valid)
    check_swept(config, swept)
    return with_setting(config, overrides, swept)


def compose_config(options: argparse.Namespace) -> DictConfig:
    """The configuration that `options` ask for, of no job: only the schema checks it."""
    register()
    name = options.config_name
    with prepared_hydra(options.config_path, options.config_dir) as hydra:
        try:
            check_choices(hydra, options.overrides)
            config = without_hydra(load_config(hydra, name, options.overrides, RunMode.RUN))
            check_schema(config)
            return config
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(explain_hydra(error, hydra, name, options.overrides)) from error


def _split(hydra: "Hydra", master: DictConfig) -> tuple[tuple[str, ...], list[list[str]] | None]:
    """(keys that are swept, the overrides of each job as Hydra's basic sweeper splits them).

    Any other sweeper chooses its jobs while it runs: None.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    sweeper = master.hydra.sweeper
    arguments: list[str] = []
    given = list(master.hydra.overrides.task)
    for key, value in (sweeper.get("params") or {}).items():  # of a file, which commands replace
        ours = [one for one in given if override_key(one) == override_key(key)]
        given = [one for one in given if one not in ours]
        arguments += ours or [with_plus(f"{key}={value}")]
    arguments += given
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
