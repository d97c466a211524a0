"""The check of a whole configuration, before anything is written.

Whatever is wrong is one `ConfigError` that names the key, what was expected and the nearest valid
choices. Torch is imported only where a node needs it.
"""

import inspect
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regexp.config import (
    GROUPS,
    Checkpoint,
    Config,
    ConfigError,
    Lengths,
    Paths,
    Tracking,
    Trainer,
    every_of,
    grid_of,
    plain,
    seeds_of,
    shown,
)
from regexp.nodes import blame, build_node, check_node, find_target, nearest, without_search

PRECISIONS = ("float32", "float64", "bfloat16")
MOST = 10**9
"""Of epochs and rows; no more can be meant, and products of them stay in 64 bits."""

UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def validate(config: DictConfig) -> None:
    """Check all of a job's configuration that can be checked without its data.

    Args:
        config: composed by Hydra, not resolved; left as it is.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    check_schema(config)
    _check_texts(config)
    seeds_of(config)
    grid = grid_of(config)
    for key in ("dataset", "model", "optimizer", "scheduler"):
        if not config[key]:
            raise ConfigError(f"{key}: expected a choice of this group; see regexp --help")
    trial = with_lengths(config, steps_per_epoch=10)
    for key in GROUPS:
        check_group(trial, key)
    for key, values in grid.items():
        group = key.split(".")[0]
        for value in values:
            point = trial.copy()
            OmegaConf.update(point, key, value)
            if group == "trainer":
                _check_numbers(point)
            elif group in trial:
                check_group(point, group, label="grid.")


def check_schema(config: DictConfig) -> None:
    """Check the keys of a configuration and the numbers that the schema types.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    _check_keys(config)
    _check_numbers(config)


def _check_texts(config: DictConfig) -> None:
    """Every text can be written to files and databases."""
    pending: list[tuple[str, Any]] = [("", OmegaConf.to_container(config))]
    while pending:
        key, value = pending.pop()
        if isinstance(value, Mapping):
            pending += [(f"{key}.{name}".lstrip("."), one) for name, one in value.items()]
        elif isinstance(value, list):
            pending += [(key, one) for one in value]
        elif isinstance(value, str) and UNWRITABLE.search(f"{key}{value}"):
            raise ConfigError(
                f"{key!a}={value!a}: it has bytes that are no text, and could not be recorded"
            )


def with_lengths(config: DictConfig, steps_per_epoch: int, steps: int | None = None) -> DictConfig:
    """A copy of a job's configuration whose `lengths` are filled in.

    Args:
        config: of a job.
        steps_per_epoch: of the first epoch.
        steps: of the whole run, if its epochs differ.
    """
    filled = config.copy()
    filled.lengths.steps_per_epoch = steps_per_epoch
    filled.lengths.steps = steps_per_epoch * config.trainer.epochs if steps is None else steps
    return filled


def check_group(config: DictConfig, group: str, label: str = "") -> None:
    """Check the node of one group, as `regexp.nodes.check_node` does.

    Args:
        config: a job's configuration with its lengths filled in.
        group: "dataset", "model", "regularizer", "optimizer" or "scheduler".
        label: what stands before the keys in an error.
    """
    if group == "scheduler" and config[group].get("interval", "epoch") not in ("epoch", "step"):
        raise ConfigError(
            f"{label}scheduler.interval={shown(config[group].interval)}: expected epoch or step"
        )
    try:
        node = plain(config[group])
    except OmegaConfBaseException as error:
        raise ConfigError(f"{label}{error.full_key!s}: {str(error).splitlines()[0]}") from error
    if group == "regularizer":
        built = {}
        for name, technique in without_search(node).items():
            if not isinstance(technique, Mapping):
                raise ConfigError(
                    f"{label}regularizer.{name}={shown(technique)}: expected a technique, a "
                    "mapping with _target_; a YAML of conf/regularizer/ begins with "
                    f"`# @package regularizer.<name>`"
                )
            check_node(f"{label}regularizer.{name}", technique)
            built[name] = build_node(f"{label}regularizer.{name}", technique)
        from regexp.regularizer.cocktail import Cocktail  # torch is not needed without a technique

        try:
            Cocktail(built)
        except ValueError as error:
            raise ConfigError(f"{label}{error}") from error
    elif group == "dataset":
        check_node(f"{label}dataset", node, build=True)
    elif group == "model":
        check_node(f"{label}model", node, given=("input_shape", "outputs"))
    else:
        node.pop("interval", None)
        if inspect.isclass(target := find_target(f"{label}{group}", node)):
            _check_kind(f"{label}{group}", node, target)
        check_node(
            f"{label}{group}", node, given=("params",) if group == "optimizer" else ("optimizer",)
        )
        _try(f"{label}{group}", config)


def _try(key: str, config: DictConfig) -> None:
    """Build the optimizer, and the scheduler on it, and step them once.

    Torch checks some ranges of their numbers in the constructors, others never: a step shows them.
    """
    import torch
    from torch.optim.lr_scheduler import ReduceLROnPlateau

    def node_of(group: str) -> dict[str, Any]:
        node = plain(config[group])
        node.pop("interval", None)
        return node

    def make(group: str, argument: object) -> Any:
        node = node_of(group)
        factory = build_node(key, node)
        with _blamed(key, node):
            made = factory(argument)
        _check_kind(group, node, type(made))
        return made

    # A hidden matrix and an output layer's, with a bias each.
    shapes = ((3, 2), (3,), (2, 3), (2,))
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = make("optimizer", parameters)
    node = node_of("optimizer")
    if _needs_closure(optimizer):
        raise ConfigError(
            f"{key}._target_={node['_target_']}: its step needs a closure; only first-order "
            "optimizers, whose step needs none, are supported"
        )
    scheduler = make("scheduler", optimizer) if key.endswith("scheduler") else None
    if node.get("capturable"):  # such an optimizer steps on a GPU alone
        return
    with _blamed(key, node):
        optimizer.step()
    if scheduler is not None:
        plateau = isinstance(scheduler, ReduceLROnPlateau)
        with _blamed(key, node_of("scheduler")):
            scheduler.step(*[0.0] * plateau)  # a validation loss


@contextmanager
def _blamed(key: str, node: Mapping[str, Any]) -> Iterator[None]:
    """Turn whatever is raised into a ConfigError about a node."""
    try:
        yield
    except Exception as error:
        raise blame(key, node, error) from error


def _check_kind(key: str, node: Mapping[str, Any], kind: type) -> None:
    """Check that a class is an optimizer, or a scheduler, as its key says."""
    from torch.optim import Optimizer

    if key.endswith("optimizer"):
        right, expected = issubclass(kind, Optimizer), "an optimizer (a torch.optim.Optimizer)"
    else:
        right = hasattr(kind, "step") and not issubclass(kind, Optimizer)
        expected = "a scheduler (one of torch.optim.lr_scheduler, or one like them)"
    if not right:
        raise ConfigError(f"{key}._target_={node['_target_']}: expected {expected}")


def _needs_closure(optimizer: Any) -> bool:
    """Whether an optimizer evaluates the loss itself, again and again, within a step."""
    closure = inspect.signature(optimizer.step).parameters.get("closure")
    return closure is not None and closure.default is closure.empty


def _check_keys(config: DictConfig) -> None:
    """Every key of the schema is there, and no other: Hydra's `+key` and `~key` get past it."""
    for prefix, kind in (
        ("", Config),
        ("trainer.", Trainer),
        ("lengths.", Lengths),
        ("checkpoint.", Checkpoint),
        ("tracking.", Tracking),
        ("paths.", Paths),
    ):
        node = config[prefix[:-1]] if prefix else config
        names = [one.name for one in fields(kind)]
        for key in map(str, node):
            if key not in names:
                # an experiment is chosen beside the keys, and is none of them itself
                choices = names if prefix else [*names, "experiment"]
                raise ConfigError(
                    f"{prefix}{key}: there is no such key" + nearest(key, choices, prefix)
                )
        for name in names:
            later = kind is Lengths  # filled in by the job
            if name not in [*node] or (OmegaConf.is_missing(node, name) and not later):
                raise ConfigError(f"{prefix}{name}: expected a value; none is given")


def _check_numbers(config: DictConfig) -> None:
    """Ranges of the keys that the schema types."""
    trainer = config.trainer
    for key in ("epochs", "batch_size", "threads"):
        if trainer[key] < 1:
            raise ConfigError(f"trainer.{key}={trainer[key]}: expected an integer >= 1")
        if trainer[key] > MOST:
            raise ConfigError(f"trainer.{key}={trainer[key]}: expected at most {MOST:,}")
    cores = os.cpu_count() or 1
    if trainer.threads > cores:
        raise ConfigError(
            f"trainer.threads={trainer.threads}: expected 1 to {cores}, the CPU cores of this "
            "machine"
        )
    if not DEVICE.fullmatch(trainer.device):
        raise ConfigError(
            f"trainer.device={trainer.device}: expected auto, cpu, cuda or cuda:<number>"
        )
    if trainer.device.startswith("cuda"):
        import torch

        index = int(trainer.device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise ConfigError(
                f"trainer.device={trainer.device}: this machine has {torch.cuda.device_count()} "
                "CUDA devices that torch can use; expected cpu, or auto"
            )
    if trainer.precision not in PRECISIONS:
        raise ConfigError(
            f"trainer.precision={trainer.precision}: expected one of {', '.join(PRECISIONS)}"
        )
    every_of(config)
    if not 1 <= config.tracking.port <= 65535:
        raise ConfigError(f"tracking.port={config.tracking.port}: expected 1 to 65535")
    if not 0 <= config.tracking.wait < math.inf:
        raise ConfigError(f"tracking.wait={config.tracking.wait}: expected seconds >= 0")
    if not config.tracking.host:
        raise ConfigError("tracking.host: expected an address, such as 127.0.0.1")
    for key in ("data", "mlruns"):
        if not config.paths[key] or "\0" in config.paths[key]:
            raise ConfigError(f"paths.{key}: expected a folder")
    if not config.tracking.experiment:
        raise ConfigError("tracking.experiment: expected a name")
