"""From the arguments of the command line to the configuration of every job, with Hydra's own rules.

A sweep is composed as a whole before anything starts: Hydra's sweeper splits the overrides, every
job's configuration is composed and checked, and the first mistake ends the command with one
message. Imports neither torch nor MLflow, so that `--help` and completion are quick.
"""

import argparse
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import __version__ as hydra_version
from hydra._internal.utils import create_automatic_config_search_path, get_args_parser
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from regexp.composition import check_choices, explain, load, seed_sampler, without_hydra
from regexp.config import ConfigError, conf_folder, register
from regexp.nodes import nearest
from regexp.overridden import strays_of, technique_of, without_strays
from regexp.schema import check_schema
from regexp.search_space import check_swept
from regexp.validation import validate

if TYPE_CHECKING:
    from hydra._internal.hydra import Hydra

CONFIG_NAME = "config"
JOBS = 10_000  # of a sweep, at most: each is composed and checked before the first starts
# Keys that Hydra wants a plus for, because the composed configuration may not have them.
NEW = re.compile(r"(grid|tune\.search|regularizer\.\w+)\.[^=]+=")


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


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Hydra's options, and the arguments to hand on to it.

    `grid.key=...` becomes `++grid.key=...`, since the grid is empty by default, and so does
    `regularizer.l1.key=...`: in a sweep over techniques it is meant for the jobs that have l1
    (see `without_strays`). Options may stand anywhere; Hydra wants them before the overrides.
    `--debug` becomes `debug=true`, which the jobs read.

    Raises:
        ConfigError: the option of Hydra's that unpickles a file.
    """
    rewritten = [f"++{one}" if NEW.match(one) else one for one in arguments]
    parsed = _parser().parse_intermixed_args(rewritten)
    options = [one for one in rewritten if one != "--debug"]
    for override in parsed.overrides:
        options.remove(override)
    if parsed.debug:
        parsed.overrides.append("debug=true")
    if parsed.experimental_rerun:
        raise ConfigError(
            "--experimental-rerun: it unpickles the file that it is given, which may run any "
            "code; use regexp rerun RUN_ID"
        )
    return parsed, [*options, *parsed.overrides]


def check_words(options: argparse.Namespace, commands: Iterable[str]) -> None:
    """Check that no argument is a word alone, such as a mistyped command.

    Raises:
        ConfigError: one is.
    """
    for word in options.overrides:
        if "=" not in word and not word.startswith("~"):
            raise ConfigError(
                f"{word}: expected key=value, or as the first word a command"
                + nearest(word, commands)
            )


def _parser() -> argparse.ArgumentParser:
    """Hydra's own parser, under our name and version."""
    parser = argparse.ArgumentParser(
        prog="regexp",
        usage="regexp [-m] [key=value ...]; see regexp --help",
        parents=[get_args_parser()],
        conflict_handler="resolve",
        add_help=False,
        allow_abbrev=False,  # Hydra would not know what stands for --debug
    )
    try:
        version = metadata.version("regexp")
    except metadata.PackageNotFoundError:
        version = "(not installed)"
    parser.add_argument(
        "--version",
        action="version",
        version=f"regexp {version}, Hydra {hydra_version}",
        help="Show the versions of regexp and Hydra and exit",
    )
    parser.add_argument("--debug", action="store_true", help="Show whole tracebacks")
    return parser


def starts_jobs(options: argparse.Namespace) -> bool:
    """False for --help, --cfg, --info and the like, which Hydra answers alone."""
    answers = (options.help, options.hydra_help, options.cfg, options.info)
    return not (any(answers) or options.shell_completion)


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
