"""From a job's configuration to its runs: one resolved configuration, seed and fingerprint each."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from regexp.config.bars import as_bars, as_lists
from regexp.config.declared import as_declared
from regexp.config.functions import as_class_weight, told_of_metrics
from regexp.config.jobs import Job, written
from regexp.config.nodes import without_search
from regexp.config.schema import EARLIER_TRAINER
from regexp.config.targets import find_target
from regexp.config.validation import lengths_filled
from regexp.config.values import copied, grid_of, plain, seeds_of
from regexp.dataset.base import Data
from regexp.errors import ConfigError, NotApplicable
from regexp.metrics.names import FINAL_STAGE, TUNING_STAGE
from regexp.regularizer.conflicts import check_data
from regexp.stack.member import lengths, steps_per_epoch
from regexp.sweeps import tuning
from regexp.sweeps.advice import advice
from regexp.sweeps.identity import DECIDES, Node
from regexp.sweeps.ingredients import (
    build_member,
    build_regularizer,
    check_forward,
    forget_data,
    load_data,
    training_rows,
    with_earlier_settings,
)
from regexp.sweeps.own_metrics import check_metrics
from regexp.sweeps.planned_run import PlannedRun, planned
from regexp.sweeps.steppers import check_stepper
from regexp.sweeps.trial import check_trains, stack_fault
from regexp.sweeps.tuning import Numbers, numbers_in_words

JOB = ("seeds", "seeds_max", "grid", "tune", "search", "launch", "compare", "yardsticks", "reuse")
"""The keys that say which runs a job has, how it is launched and what stands beside them; none is a
run's own."""


def plan(
    config: DictConfig, chosen: Numbers | None = None, fit: set[str] | None = None
) -> list[PlannedRun]:
    """The runs of a job: its grid's points, each with every seed; of a search, the trials.

    Args:
        config: composed and validated, not resolved.
        chosen: the numbers that the trials of a search have chosen, for the runs that count.
        fit: what other jobs of the sweep were found to fit together; this job's is added.

    Raises:
        ConfigError: what only the data can tell is wrong.
        NotApplicable: if a technique is not for this dataset or model.
    """
    if config.tune.budget and chosen is None:
        return stackable(_plan_trials(config))
    fit = set() if fit is None else fit
    grid, runs = grid_of(config), []
    for values in itertools.product(*grid.values()):
        point: Numbers = dict(zip(grid, values, strict=True))
        runs += _plan_point(
            config, (chosen or {}) | point, numbers_in_words(point), seeds_of(config), fit
        )
    runs = stackable(runs)
    if chosen is None:
        return runs
    return [replace(run, tuned=numbers_in_words(chosen), stage=FINAL_STAGE) for run in runs]


def stackable(runs: list[PlannedRun]) -> list[PlannedRun]:
    """The runs of a job, each by itself where they cannot train as a stack."""
    fault = stack_fault(runs)
    return [run.by_itself(fault) for run in runs] if fault else runs


def plan_all(jobs: Sequence[Job]) -> tuple[list[list[PlannedRun]], dict[int, NotApplicable]]:
    """The runs of every job, and why some jobs have none: their technique does not apply.

    Raises:
        ConfigError: what only the data can tell, such as a batch larger than the training split,
            or that no job applies.
    """
    forget_data()
    planned: list[list[PlannedRun]] = []
    fit: set[str] = set()
    left_out: dict[int, NotApplicable] = {}
    for number, job in enumerate(jobs):
        try:
            planned.append(plan(job.config, fit=fit))
        except NotApplicable as error:
            if number + 1 == len(jobs) == len(left_out) + 1:
                raise  # no job is left
            left_out[number] = error
            planned.append([])
        except ConfigError as error:
            if len(jobs) > 1:
                error.job = written(job.overrides)
            raise
    return planned, left_out


def _plan_trials(config: DictConfig) -> list[PlannedRun]:
    """The trials of a job's search, one configuration after another."""
    seeds, runs, fit = tuning.trial_seeds(config), [], set[str]()
    point: Numbers = {key: value for key, [value] in grid_of(config).items()}
    for number, tried in enumerate(tuning.draw_configurations(config)):
        variant = numbers_in_words(point | tried)
        try:
            own = _plan_point(config, point | tried, variant, seeds, fit)
        except ConfigError as error:
            if number == 0:  # the configuration's own numbers
                raise
            raise ConfigError(
                f"{error} (at {variant}, which the search draws; narrow its ranges)"
            ) from error
        if not own[0].shared_split:
            raise ConfigError(
                f"tune.budget={config.tune.budget}: every seed splits {own[0].dataset} anew, so "
                "that a trial would choose by rows which other runs are tested on; give "
                "dataset.split_seed=0"
            )
        runs += own
    wanted = tuple(seeds_of(config))
    chosen_by = config.compare.metric or ""
    return [replace(run, trial_for=wanted, chosen_by=chosen_by, stage=TUNING_STAGE) for run in runs]


def _plan_point(
    config: DictConfig,
    values: Mapping[str, Any],
    variant: str,
    seeds: list[int],
    fit: set[str],
) -> list[PlannedRun]:
    """The runs of one configuration, one a seed.

    Args:
        config: of the job.
        values: what is different in it, by dotted key.
        variant: what tells its runs from others of the job, for people.
        seeds: of the runs.
        fit: see `plan`.
    """
    point = copied(config) if values else config
    for key, value in values.items():
        OmegaConf.update(point, key, value)
    runs = list(_resolve(point, variant, seeds))
    parts = _parts(runs[0])
    if parts in fit:
        return runs
    # What does not fit together is told now, before anything is written.
    member = build_member(runs[0])
    check_forward(member.model, member.data, known=runs[0].of_project)
    check_metrics(runs[0].config["trainer"], member.data)
    check_trains(runs[0], member)
    if runs[0].of_project:
        fit.add(parts)
    return runs


def _parts(run: PlannedRun) -> str:
    """What must fit together in a run: all but the numbers of optimizer and scheduler."""
    kinds = {key: run.config[key]["_target_"] for key in ("optimizer", "scheduler")}
    return json.dumps(run.config | kinds, default=repr)


def _resolve(config: DictConfig, variant: str, seeds: list[int]) -> Iterator[PlannedRun]:
    """The runs of one configuration, which has all their numbers, one a seed."""
    node, folder = as_declared("dataset", plain(config.dataset)), config.paths.data
    data = load_data(node, folder, seeds[0])
    resolved: dict[int, Callable[[int], PlannedRun]] = {}
    for seed in seeds:
        rows = training_rows(node, folder, seed)
        if rows not in resolved:
            whole = _resolve_lengths(config, rows, data)
            trainer, regularizer = whole["trainer"], build_regularizer(whole["regularizer"])
            steps = lengths(regularizer, rows, trainer["batch_size"], trainer["epochs"])
            check_stepper(whole, steps)
            own = {"seed": seed} | {k: v for k, v in whole.items() if k not in JOB}
            run = planned(own, variant, data)
            told = (*told_of_metrics(trainer), *advice(whole, regularizer, steps))
            run = replace(run, remarks=(*run.remarks, *told))
            resolved[rows] = run.with_seeds()
        yield resolved[rows](seed)


def _resolve_lengths(config: DictConfig, rows: int, data: Data) -> Node:
    """A configuration resolved for runs of so many training rows.

    Args:
        config: of one run, but for its seed.
        rows: of its training split.
        data: of any seed.
    """
    batch_size, epochs = config.trainer.batch_size, config.trainer.epochs
    if batch_size > rows:
        raise ConfigError(
            f"trainer.batch_size={batch_size}: expected at most the {rows} rows of the training "
            f"split of {data.name}; give trainer.batch_size={rows} or less"
        )
    with lengths_filled(config, steps_per_epoch(rows, batch_size)):
        resolved = plain(config)
    regularizer = build_regularizer(without_search(resolved["regularizer"]))
    own_loss = resolved["trainer"]["loss"] is not None
    shape = data.train.inputs.shape[1:]
    check_data(regularizer.techniques, data.name, data.task, shape, own_loss=own_loss)
    if regularizer.uses("batch_size"):
        counts = [count for _, count in lengths(regularizer, rows, batch_size, epochs)]
        with lengths_filled(config, counts[0], sum(counts)):
            resolved = plain(config)
    resolved["regularizer"] = without_search(resolved["regularizer"])
    return _declared(resolved)


def from_resolved(config: Node, folder: str, variant: str = "") -> PlannedRun:
    """A run of the configuration that an earlier run left, on the data that are here now.

    Args:
        config: resolved, of one run, as in the artifact `config.yaml`.
        folder: `paths.data`; folders are a machine's, not a run's. Files and folders that are not
            where the run had them are looked for in it, by the longest end of their path.
        variant: the run's numbers of the grid, as in `PlannedRun`.

    Raises:
        ConfigError: a missing or bad file of data.
    """
    dataset = _at_hand(with_earlier_settings(config["dataset"]), Path(folder))
    trainer = {**EARLIER_TRAINER, **config["trainer"]}
    paths = config["paths"] | {"data": folder}
    config = _declared(config | {"paths": paths, "dataset": dataset, "trainer": trainer})
    return planned(config, variant, load_data(config["dataset"], folder, config["seed"]))


def _at_hand(dataset: Node, folder: Path) -> Node:
    """The settings of a dataset with paths that are not here as they are in a folder."""
    found = dict(dataset)
    for key in getattr(find_target("dataset", dataset), "PLACES", ()):
        given = Path(value) if isinstance(value := dataset.get(key), str) else Path()
        if given.parts and not given.exists() and not (folder / given).exists():
            ends = ["/".join(given.parts[at:]) for at in range(1, len(given.parts))]
            missing = given.name if given.is_absolute() else str(given)
            found[key] = next((end for end in ends if (folder / end).exists()), missing)
    return found


def _declared(config: Node) -> Node:
    """A configuration whose decisive parts are typed as what they name declares."""
    typed = {key: as_declared(key, config[key]) for key in DECIDES}
    trainer = typed["trainer"]
    trainer["class_weight"] = as_class_weight(trainer["class_weight"])
    trainer["bars"] = as_lists(as_bars(trainer["bars"])) or None
    return config | typed
