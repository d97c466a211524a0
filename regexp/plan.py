"""From a job's configuration to its runs: one resolved configuration, seed and fingerprint each."""

from __future__ import annotations

import copy
import inspect
import itertools
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from regexp.config import ConfigError, grid_of, seeds_of
from regexp.dataset.base import Data, Dataset
from regexp.layers import NotApplicable
from regexp.member import Member, add_layers, lengths, steps_per_epoch
from regexp.nodes import DoesNotApply, build_node, find, without_search
from regexp.planned_run import Node, PlannedRun, planned
from regexp.random import derive
from regexp.regularizer.cocktail import Cocktail
from regexp.stepping import Stepper
from regexp.validation import with_lengths


def plan(config: DictConfig) -> list[PlannedRun]:
    """The runs of a job: its grid's points, each with every seed.

    Args:
        config: composed and validated, not resolved.

    Raises:
        ConfigError: what only the data can tell is wrong.
        DoesNotApply: if a technique is not for this dataset or model.
    """
    grid = grid_of(config)
    names = _short(list(grid))
    runs: list[PlannedRun] = []
    for values in itertools.product(*grid.values()):
        point = config.copy()
        for key, value in zip(grid, values, strict=True):
            OmegaConf.update(point, key, value)
        variant = ", ".join(f"{name}={value:g}" for name, value in zip(names, values, strict=True))
        own = list(_plan_point(point, variant, seeds_of(config)))
        # What does not fit together is told now, before anything is written.
        member = build_member(own[0])
        _check_forward(member.model, member.data)
        runs += own
    return runs


def _plan_point(config: DictConfig, variant: str, seeds: list[int]) -> Iterator[PlannedRun]:
    """The runs of one point of the grid, one a seed."""
    data = load_data(_plain(config.dataset), config.paths.data, seeds[0])
    rows, batch_size, epochs = len(data.train), config.trainer.batch_size, config.trainer.epochs
    if batch_size > rows:
        raise ConfigError(
            f"trainer.batch_size={batch_size}: expected at most the {rows} rows of the training "
            f"split of {data.name}; give trainer.batch_size={rows} or less"
        )
    resolved = _plain(with_lengths(config, steps_per_epoch(rows, batch_size)))
    regularizer = build_regularizer(without_search(resolved["regularizer"]))
    try:
        regularizer.check_data(data.name, data.task, data.train.inputs.shape[1:])
    except NotApplicable as error:
        raise DoesNotApply(str(error)) from error
    if regularizer.uses("batch_size"):
        counts = [count for _, count in lengths(regularizer, rows, batch_size, epochs)]
        resolved = _plain(with_lengths(config, counts[0], sum(counts)))
    resolved["regularizer"] = without_search(resolved["regularizer"])
    for seed in seeds:
        own = {"seed": seed} | {k: v for k, v in resolved.items() if k not in ("seeds", "grid")}
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
    scheduler = {key: value for key, value in config["scheduler"].items() if key != "interval"}
    stepper = Stepper(
        build_node("optimizer", config["optimizer"]),
        build_node("scheduler", scheduler),
        config["scheduler"].get("interval", "epoch"),
    )
    return Member(
        run.seed, data, build_model(config["model"], data, regularizer, run.seed), regularizer,
        stepper,
    )  # fmt: skip


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
        DoesNotApply: if a technique has nothing to work on in the network.
    """
    shape = tuple(data.train.inputs.shape[1:])
    offered = {"input_shape": shape, "outputs": _outputs(data)}
    accepted = inspect.signature(find("model._target_", node["_target_"])).parameters
    given = {key: value for key, value in offered.items() if key in accepted}
    # torch's initialisers draw from the global state: it is lent to them and put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "init"))
        model = build_node("model", node, **given)
        if not isinstance(model, nn.Module):
            raise ConfigError(f"model._target_={node['_target_']}: expected an nn.Module")
        try:
            model = add_layers(model, regularizer, seed)
        except NotApplicable as error:
            raise DoesNotApply(str(error)) from error
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


def _short(keys: list[str]) -> list[str]:
    """The last parts of dotted keys, or the whole keys where those are not unique."""
    last = [key.rpartition(".")[2] for key in keys]
    return last if len(set(last)) == len(last) else keys


def _plain(node: DictConfig) -> Node:
    plain = OmegaConf.to_container(node, resolve=True)
    assert isinstance(plain, dict)
    return plain  # type: ignore[return-value]
