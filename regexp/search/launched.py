"""A search by Hydra's launchers: processes of this machine or others that take part in it."""

from __future__ import annotations

import os
import time
import uuid
from argparse import Namespace
from pathlib import Path

from omegaconf import DictConfig

from regexp.addresses import public
from regexp.config import plan_file
from regexp.config.jobs import Job, Sweep
from regexp.config.launching import launch
from regexp.config.postponed import postpone
from regexp.config.searched import Searched, compose_search
from regexp.config.values import plain
from regexp.errors import ConfigError
from regexp.search.taking_part import read_space
from regexp.search.workers import ARMS
from regexp.sweeps.launched import shared_tracker
from regexp.sweeps.launchers import Jobs, starter
from regexp.sweeps.progress import JobReport, say, write_report
from regexp.sweeps.time_left import BEGUN, LEFT
from regexp.sweeps.workers import start_importing
from regexp.tracking import interruptible
from regexp.tracking.sweeps import LAUNCHED


def launched_of(searched: Searched) -> int:
    """How many processes the launcher of a search starts; 0 where it has none."""
    asked = searched.config.search
    return 0 if searched.master is None else int(asked.workers or ARMS * asked.parallel)


def launch_helpers(searched: Searched, key: str) -> None:
    """Have processes that take part started by the launcher of a search, and wait for their ends.

    Where the launcher breaks, a line says so: what they have not done is left to others.

    Args:
        searched: what the search starts from.
        key: of the search.
    """
    number, config = launched_of(searched), searched.config
    if not number:
        return
    assert searched.master is not None
    mlruns = Path(config.paths.mlruns)
    folder = mlruns / "hydra" / f"{time.strftime('%Y-%m-%d_%H-%M-%S')}_{uuid.uuid4().hex[:8]}"
    plans = [folder.absolute() / "plans" / f"{one}.yaml" for one in range(number)]
    start_importing(searched.master, number)
    for plan in plans:
        _write(plan, searched, key)
    sweep = Sweep(
        (Job((), config),) * number, config, "search", searched.command, searched.options,
        searched.master, multirun=True,
    )  # fmt: skip
    jobs = Jobs(
        plans,
        keys=[f"{key}-{one}" for one in range(number)],
        records=mlruns / LAUNCHED / f"search-{key}.json",
        of=number,
        metric=None,
        retries=config.launch.retries,
        per_task=1,
    )
    try:
        launch(sweep, take_part, folder, plans, starter(jobs))
    except Exception as error:
        say(f"The launcher stopped: {type(error).__name__}: {public(str(error))}")


def _write(path: Path, searched: Searched, key: str) -> None:
    config = plain(searched.config, resolve=False)
    config["launch"] |= {"folder": str(path.parent.parent), "plan": str(path)}
    config["paths"] = plain(searched.config.paths)
    content = {
        "cwd": str(Path.cwd()),
        "options": vars(searched.options),
        "key": key,
        "overrides": list(searched.command),
        "choices": searched.choices,
        "config": config,
    }
    plan_file.write(path, content)


def take_part(config: DictConfig) -> float:
    """What a launcher starts: take part in a search. Never raises but to be interrupted."""
    from regexp.search.identity import key_of_search
    from regexp.search.lead import help_search

    postpone()
    plan = Path(config.launch.plan)
    content = plan_file.read(plan)
    os.chdir(content["cwd"])
    plan.with_suffix(BEGUN).write_text(str(os.getpid()))
    report, began = JobReport(int(plan.stem), "search"), time.monotonic()
    try:
        space = read_space(compose_search(Namespace(**content["options"])))
        if key_of_search(space) != content["key"]:
            raise ConfigError("the data or the code of this machine are not those of the search")
        with interruptible(), shared_tracker(space.config) as tracker:
            help_search(space, tracker, content["key"], say if not report.number else _nobody)
    except Exception as error:
        report.reason = public(f"{type(error).__name__}: {error}")
    except BaseException:  # interrupted; all is recorded by now
        plan.with_suffix(LEFT).touch()
        raise
    report.seconds = time.monotonic() - began
    write_report(report, plan.with_suffix(".json"))
    return 0.0


def _nobody(line: str) -> None:
    """Nobody is told: the first process speaks for all."""
