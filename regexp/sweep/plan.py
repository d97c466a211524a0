"""From a job's configuration to its runs: one resolved configuration, seed and fingerprint each."""

from __future__ import annotations

import copy
import inspect
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from regexp.config.jobs import Job, written
from regexp.config.nodes import build_node, import_target, without_search
from regexp.config.validation import with_lengths
from regexp.config.values import grid_of, seeds_of
from regexp.dataset.base import Data, Dataset
from regexp.errors import ConfigError, NotApplicable
from regexp.metrics.names import FINAL_STAGE, TUNING_STAGE
from regexp.random import derive
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.member import Member, add_layers, lengths, steps_per_epoch
from regexp.stack.optimizers import Stepper
from regexp.sweep import tuning
from regexp.sweep.planned_run import Node, PlannedRun, planned
from regexp.sweep.tuning import Numbers, numbers_in_words

JOB = ("seeds", "grid", "tune", "launch")
"""The keys that say which runs a job has and how it is launched, and are none of a run's own."""


def plan(config: DictConfig, chosen: Numbers | None = None) -> list[PlannedRun]:
    """The runs of a job: its grid's points, each with every seed; of a search, the trials.

    Args:
        config: composed and validated, not resolved.
        chosen: the numbers that the trials of a search have chosen, for the runs that count.

    Raises:
        ConfigError: what only the data can tell is wrong.
        NotApplicable: if a technique is not for this dataset or model.
    """
    if config.tune.budget and chosen is None:
        return _plan_trials(config)
    grid, runs = grid_of(config), []
    for values in itertools.product(*grid.values()):
        point: Numbers = dict(zip(grid, values, strict=True))
        runs += _plan_point(
            config, (chosen or {}) | point, numbers_in_words(point), seeds_of(config)
        )
    if chosen is None:
        return runs
    return [replace(run, tuned=numbers_in_words(chosen), stage=FINAL_STAGE) for run in runs]


def plan_all(jobs: Sequence[Job]) -> tuple[list[list[PlannedRun]], dict[int, NotApplicable]]:
    """The runs of every job, and why some jobs have none: their technique does not apply.

    Raises:
        ConfigError: what only the data can tell, such as a batch larger than the training split,
            or that no job applies.
    """
    planned: list[list[PlannedRun]] = []
    left_out: dict[int, NotApplicable] = {}
    for number, job in enumerate(jobs):
        try:
            planned.append(plan(job.config))
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
    seeds, runs = tuning.trial_seeds(config), []
    point: Numbers = {key: value for key, [value] in grid_of(config).items()}
    for number, tried in enumerate(tuning.draw_configurations(config)):
        variant = numbers_in_words(point | tried)
        try:
            own = _plan_point(config, point | tried, variant, seeds)
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
    return [replace(run, trial_for=wanted, stage=TUNING_STAGE) for run in runs]


def _plan_point(
    config: DictConfig, values: Mapping[str, Any], variant: str, seeds: list[int]
) -> list[PlannedRun]:
    """The runs of one configuration, one a seed.

    Args:
        config: of the job.
        values: what is different in it, by dotted key.
        variant: what tells its runs from others of the job, for people.
        seeds: of the runs.
    """
    point = config.copy() if values else config
    for key, value in values.items():
        OmegaConf.update(point, key, value)
    runs = list(_resolve(point, variant, seeds))
    # What does not fit together is told now, before anything is written.
    member = build_member(runs[0])
    _check_forward(member.model, member.data)
    return runs


def _resolve(config: DictConfig, variant: str, seeds: list[int]) -> Iterator[PlannedRun]:
    """The runs of one configuration, which has all their numbers, one a seed."""
    data = load_data(_plain(config.dataset), config.paths.data, seeds[0])
    rows, batch_size, epochs = len(data.train), config.trainer.batch_size, config.trainer.epochs
    if batch_size > rows:
        raise ConfigError(
            f"trainer.batch_size={batch_size}: expected at most the {rows} rows of the training "
            f"split of {data.name}; give trainer.batch_size={rows} or less"
        )
    resolved = _plain(with_lengths(config, steps_per_epoch(rows, batch_size)))
    regularizer = build_regularizer(without_search(resolved["regularizer"]))
    regularizer.check_data(data.name, data.task, data.train.inputs.shape[1:])
    if regularizer.uses("batch_size"):
        counts = [count for _, count in lengths(regularizer, rows, batch_size, epochs)]
        resolved = _plain(with_lengths(config, counts[0], sum(counts)))
    resolved["regularizer"] = without_search(resolved["regularizer"])
    for seed in seeds:
        own = {"seed": seed} | {k: v for k, v in resolved.items() if k not in JOB}
        yield planned(own, variant, data)


def from_resolved(config: Node, folder: str, variant: str = "") -> PlannedRun:
    """A run of the configuration that an earlier run left, on the data that are here now.

    Args:
        config: resolved, of one run, as in the artifact `config.yaml`.
        folder: `paths.data`; folders are a machine's, not a run's.
        variant: the run's numbers of the grid, as in `PlannedRun`.

    Raises:
        ConfigError: a missing or bad file of data.
    """
    config = config | {"paths": config["paths"] | {"data": folder}}
    return planned(config, variant, load_data(config["dataset"], folder, config["seed"]))


def build_member(run: PlannedRun) -> Member:
    """A run's data, initialised network, techniques, optimizer and schedule.

    Raises:
        ConfigError: if the parts do not fit together.
    """
    config = run.config
    data = load_data(config["dataset"], config["paths"]["data"], run.seed)
    regularizer = build_regularizer(config["regularizer"])
    return Member(
        run.seed, data, build_model(config["model"], data, regularizer, run.seed), regularizer,
        build_stepper(config),
    )  # fmt: skip


def build_stepper(config: Node) -> Stepper:
    """The optimizer and schedule of a run's configuration."""
    scheduler = {key: value for key, value in config["scheduler"].items() if key != "interval"}
    return Stepper(
        build_node("optimizer", config["optimizer"]),
        build_node("scheduler", scheduler),
        config["scheduler"].get("interval", "epoch"),
    )


def build_regularizer(nodes: Node) -> Cocktail:
    """The techniques of `regularizer` of a configuration."""
    return Cocktail({name: build_node(f"regularizer.{name}", node) for name, node in nodes.items()})


def build_model(node: Node, data: Data, regularizer: Cocktail, seed: int) -> nn.Module:
    """The network, initialised from the run's stream, with the layers of its techniques.

    Args:
        node: `model` of the configuration. Its target is given `input_shape` and `outputs` where
            its signature has them.
        data: one run's.
        regularizer: its techniques.
        seed: the run's.

    Raises:
        ConfigError: if the network does not fit the data.
        NotApplicable: if a technique has nothing to work on in the network.
    """
    shape = tuple(data.train.inputs.shape[1:])
    offered = {"input_shape": shape, "outputs": _outputs(data)}
    accepted = inspect.signature(import_target("model._target_", node["_target_"])).parameters
    given = {key: value for key, value in offered.items() if key in accepted}
    # torch's initialisers draw from the global state: it is lent to them and put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        model = build_node("model", node, **given)
        if not isinstance(model, nn.Module):
            raise ConfigError(f"model._target_={node['_target_']}: expected an nn.Module")
        try:
            model = add_layers(model, regularizer, seed)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(str(error)) from error
    return model


def _check_forward(model: nn.Module, data: Data) -> None:
    """Call the network, so that what does not fit is told in words and not in a sweep's middle."""
    outputs = _outputs(data)
    kind, shape = type(model).__name__, list(data.train.inputs.shape[1:])
    trial = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            got = tuple(trial.eval()(data.train.inputs[:1]).shape)
            before = torch.random.get_rng_state()
            trial.train()(data.train.inputs[:2])
            draws = not torch.equal(before, torch.random.get_rng_state())
        except Exception as error:  # a user's module may raise anything
            reason = (str(error).splitlines() or [""])[0]
            raise ConfigError(
                f"model: {kind} cannot take the rows of {data.name}, of shape {shape} "
                f"({type(error).__name__}: {reason})"
            ) from error
    if got != (1, outputs):
        raise ConfigError(
            f"model: {kind} gives outputs of shape {list(got[1:])} for a row of {data.name}; "
            f"expected [{outputs}], one a class or target"
        )
    if draws:
        raise ConfigError(
            f"model: the forward of {kind} draws from torch's global random state, so runs could "
            "not be made again; use nn.Dropout instead of F.dropout, or a technique of the "
            "regularizer group"
        )


def _outputs(data: Data) -> int:
    """Numbers that a network gives for a row: one a class, or one a target in regression."""
    return len(data.classes) or data.train.targets.shape[-1]


def load_data(node: Node, folder: str, seed: int) -> Data:
    """A dataset's splits for a seed, kept for the jobs of a sweep that share them.

    Raises:
        ConfigError: a missing or bad file, or rows that cannot be split as asked.
    """
    try:
        return _load(json.dumps(node), str(Path(folder).resolve()), seed)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


@lru_cache(maxsize=8)
def _dataset(node: str) -> Dataset:
    return build_node("dataset", json.loads(node))


_alive: WeakValueDictionary[tuple[str, str, int], Data] = WeakValueDictionary()


@lru_cache(maxsize=32)
def _load(node: str, folder: str, seed: int) -> Data:
    key = (node, folder, seed)
    data = _alive.get(key)  # what a run of this job holds is never loaded twice
    if data is None:
        data = _alive[key] = _dataset(node).load(seed, Path(folder))
    return data


def _plain(node: DictConfig) -> Node:
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]
