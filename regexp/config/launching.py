"""Jobs given to Hydra: its launchers, its sweepers that draw, and its own answers."""

import contextlib
import copy
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, configure_log, env_override, run_job
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from regexp.addresses import public
from regexp.config import plan_file
from regexp.config.composition import CONFIG_NAME
from regexp.config.hydra_node import with_hydra
from regexp.config.jobs import Sweep
from regexp.config.prepared import prepared_hydra
from regexp.config.schema import conf_folder, register
from regexp.errors import ConfigError

Function = Callable[[DictConfig], float]
"""What a launcher calls for each job."""

Start = Callable[[Launcher, Sequence[list[str]]], None]
"""Lets a launcher run jobs, given by their overrides, to their ends."""


def launch(
    sweep: Sweep, function: Function, folder: Path, plans: Sequence[Path], start: Start
) -> None:
    """Let Hydra launch the jobs of a sweep.

    Args:
        sweep: composed.
        function: trains one job; it finds its plan under `launch.plan`.
        folder: of the command's files.
        plans: the file of each job; of a sweeper that makes its jobs itself, the one for all.
        start: has the jobs run by the launcher of a sweep whose jobs are known.

    Raises:
        Exception: whatever a launcher or sweeper raises.
    """
    register()
    options = sweep.options
    with prepared_hydra(options.config_path, options.config_dir) as hydra:
        if not sweep.jobs:
            overrides = [*sweep.command, *sweep.seeding]
            overrides += [plan_file.override(folder, "launch.folder"), plan_file.override(plans[0])]
            hydra.multirun(options.config_name, function, overrides)
            return
        master = copy.deepcopy(sweep.master)
        with read_write(master), open_dict(master):
            master.launch.folder = str(folder)
        if sweep.multirun:
            _launch_all(hydra, master, sweep, function, plans, start)
        else:
            _run(hydra, master, function, plans[0], options.config_name)


def current_job() -> tuple[int, list[str]]:
    """(number, overrides) of the job that Hydra runs now."""
    job = HydraConfig.get()
    number = 0 if OmegaConf.is_missing(job.job, "num") else int(job.job.num)
    return number, [str(override) for override in job.overrides.task]


def answer(arguments: Sequence[str]) -> None:
    """Let Hydra answer --help, --cfg, --info and the like, as if the arguments were typed."""
    import hydra

    register()
    main = hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=CONFIG_NAME)
    before = sys.argv
    sys.argv = ["regexp", *arguments]
    told = io.StringIO()
    try:
        # what fails is raised, for the caller to say
        with env_override({"HYDRA_FULL_ERROR": "1"}), contextlib.redirect_stdout(told):
            main(_no_job)()
    except (KeyError, ValueError) as error:
        if not {"--shell-completion", "-sc"} & set(arguments):
            raise
        raise ConfigError(
            "a shell calls it, once it is told to",
            key="--shell-completion",
            cure='eval "$(regexp -sc install=bash)" does so (install=zsh, install=fish)',
        ) from error
    finally:
        sys.argv = before
        print(public(told.getvalue()), end="")  # it composes by itself, addresses as they are


def _no_job(config: DictConfig) -> None:
    """Hydra asks for a function, which it does not call to answer."""


def _launch_all(
    hydra: Hydra,
    master: DictConfig,
    sweep: Sweep,
    function: Function,
    plans: Sequence[Path],
    start: Start,
) -> None:
    """What Hydra's basic sweeper does, with jobs that are composed already."""
    context = HydraContext(hydra.config_loader, Callbacks(master))
    name = sweep.options.config_name
    context.callbacks.on_multirun_start(config=master, config_name=name)
    launcher = Plugins.instance().instantiate_launcher(
        hydra_context=context, task_function=function, config=master
    )
    folder = Path(master.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(master, folder / "multirun.yaml")
    pairs = zip(sweep.jobs, plans, strict=True)
    start(launcher, [[*job.overrides, plan_file.override(plan)] for job, plan in pairs])
    context.callbacks.on_multirun_end(config=master, config_name=name)


def _run(hydra: Hydra, master: DictConfig, function: Function, plan: Path, name: str) -> JobReturn:
    """What Hydra does for a command without --multirun, with the job that is composed already."""
    config = with_hydra(master.hydra, plan_file.read(plan))
    config.hydra.mode = RunMode.RUN
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    context = HydraContext(hydra.config_loader, Callbacks(config))
    context.callbacks.on_run_start(config=config, config_name=name)
    result: Any = run_job(
        hydra_context=context,
        task_function=function,
        config=config,
        job_dir_key="hydra.run.dir",
        job_subdir_key=None,
    )
    context.callbacks.on_run_end(config=config, config_name=name, job_return=result)
    return result.return_value
