"""From a run's configuration to what it trains: data, network, techniques, optimizer, schedule."""

from __future__ import annotations

import inspect
import json
from functools import lru_cache, partial
from pathlib import Path
from weakref import WeakValueDictionary

import torch
from torch import nn

from regexp.config.bars import as_bars
from regexp.config.nodes import build_node
from regexp.config.targets import import_target
from regexp.dataset.base import Data, Dataset
from regexp.errors import ConfigError, kind_and_reason
from regexp.model.global_draws import no_global_draws
from regexp.model.guards import check_width, checked_outputs, outputs_of
from regexp.model.positions import note_positions
from regexp.random import seed_torch
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.member import Member, add_layers, initial_stream
from regexp.stack.optimizers import Stepper
from regexp.sweeps.identity import Node
from regexp.sweeps.objective import build_objective
from regexp.sweeps.planned_run import PlannedRun


def build_member(run: PlannedRun) -> Member:
    """A run's data, initialised network, techniques, optimizer, schedule and loss.

    Raises:
        ConfigError: if the parts do not fit together, or the data are no longer those of the plan.
    """
    config = run.config
    data = load_data(config["dataset"], config["paths"]["data"], run.seed)
    if data.checksum != run.checksum:
        raise ConfigError(
            f"the data {data.name} were changed since this run was planned",
            key="dataset", cure="give the command again, for runs of the data that are here now",
        )  # fmt: skip
    regularizer = build_regularizer(config["regularizer"])
    return Member(
        run.seed, data, build_model(config["model"], data, regularizer, run.seed), regularizer,
        build_stepper(config), build_objective(config["trainer"], data, regularizer),
        {bar.epoch: bar for bar in as_bars(config["trainer"]["bars"])},
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
        node: `model` of the configuration. Its target is given `input_shape`, `outputs` and
            `training_inputs` where its signature has them.
        data: one run's.
        regularizer: its techniques.
        seed: the run's.

    Raises:
        ConfigError: if the network does not fit the data.
        NotApplicable: if a technique has nothing to work on in the network.
    """
    shape = tuple(data.train.inputs.shape[1:])
    offered = {
        "input_shape": shape,
        "outputs": data.outputs,
        "training_inputs": data.train.inputs,
    }
    accepted = inspect.signature(import_target("model._target_", node["_target_"])).parameters
    given = {key: value for key, value in offered.items() if key in accepted}
    # torch's initialisers draw from the global state: it is lent to them and put back.
    what = f"{node['_target_'].rpartition('.')[2]} draws from {{}} when it is made"
    cure = "draw with functions of torch in its __init__, which get the run's own stream"
    own = partial(no_global_draws, what, cure, key="model", whose=("Python", "NumPy"))
    with torch.random.fork_rng(devices=[]), own():
        seed_torch(initial_stream(seed, regularizer))
        model = build_node("model", node, **given)
    if not isinstance(model, nn.Module):
        raise ConfigError(f"model._target_={node['_target_']}: expected an nn.Module")
    if not node["_target_"].startswith("regexp."):  # blocks of ours are what they say
        note_positions(model, data.train.inputs[:1])
    try:
        with own():
            return add_layers(model, regularizer, seed)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def check_forward(model: nn.Module, data: Data, *, known: bool = False) -> None:
    """Call the network, so that what does not fit is told in words and not in a sweep's middle.

    Args:
        model: with the layers of techniques.
        data: one run's.
        known: whether all of it is the project's, whose draws need no look.

    Raises:
        ConfigError: if it does not fit the data, or draws what could not be drawn again.
    """
    kind, shape = type(model).__name__, list(data.train.inputs.shape[1:])
    with torch.random.fork_rng(devices=[]):
        try:
            call = outputs_of if known else checked_outputs
            outputs = call(model, data.train.inputs[:1])
        except ConfigError:
            raise
        except Exception as error:  # a user's module may raise anything
            raise ConfigError(
                f"model: {kind} cannot take the rows of {data.name}, of shape {shape} "
                f"({kind_and_reason(error)})"
            ) from error
    check_width(model, outputs, 1, data.outputs, f" of {data.name}")


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


def with_earlier_settings(node: Node) -> Node:
    """A recorded `dataset`, with what it meant by settings that were not there yet."""
    earlier = getattr(import_target("dataset._target_", node["_target_"]), "EARLIER", {})
    return {**earlier, **node}


def training_rows(node: Node, folder: str, seed: int) -> int:
    """How many rows the training split of `load_data` has, without preprocessing them."""
    return _dataset(json.dumps(node)).training_rows(seed, Path(folder))


def forget_data() -> None:
    """Have the next command read its data anew: in a notebook, files change between commands."""
    _dataset.cache_clear()
    _load.cache_clear()
    _alive.clear()


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
