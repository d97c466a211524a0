"""The check of a whole configuration, before anything is written.

Whatever is wrong is one `ConfigError` that names the key, what was expected and the nearest valid
choices. Torch is imported only where a node needs it.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regexp.config import (
    GROUPS,
    Config,
    ConfigError,
    Paths,
    Tracking,
    Trainer,
    grid_of,
    plain,
    seeds_of,
    shown,
)
from regexp.nodes import blame, build_node, check_node, nearest

PRECISIONS = ("float32", "float64", "bfloat16")
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def validate(config: DictConfig) -> None:
    """Check all of a job's configuration that can be checked without its data.

    Args:
        config: composed by Hydra, not resolved; left as it is.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    _check_keys(config)
    _check_numbers(config)
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


def with_lengths(config: DictConfig, steps_per_epoch: int) -> DictConfig:
    """A copy of a job's configuration whose `lengths` are filled in."""
    filled = config.copy()
    filled.lengths.steps_per_epoch = steps_per_epoch
    filled.lengths.steps = steps_per_epoch * config.trainer.epochs
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
        for name, technique in node.items():
            if not isinstance(technique, Mapping):
                raise ConfigError(
                    f"{label}regularizer.{name}={shown(technique)}: expected a technique, a "
                    "mapping with _target_; a YAML of conf/regularizer/ begins with "
                    f"`# @package regularizer.<name>`"
                )
            check_node(f"{label}regularizer.{name}", technique, build=True)
    elif group == "dataset":
        check_node(f"{label}dataset", node, build=True)
    elif group == "model":
        check_node(f"{label}model", node, given=("input_shape", "outputs"))
    elif group == "optimizer":
        check_node(f"{label}optimizer", node, given=("params",))
        _try(f"{label}optimizer", config)
    else:
        node.pop("interval", None)
        check_node(f"{label}scheduler", node, given=("optimizer",))
        _try(f"{label}scheduler", config)


def _try(key: str, config: DictConfig) -> None:
    """Build the optimizer, and the scheduler on it, for a parameter of nothing.

    Torch checks the ranges of their numbers in the constructors alone.
    """
    import torch

    def make(group: str, argument: object) -> Any:
        node = plain(config[group])
        node.pop("interval", None)
        factory = build_node(key, node)
        try:
            return factory(argument)
        except Exception as error:
            raise blame(key, node, error) from error

    # A hidden matrix and an output layer's, with a bias each.
    shapes = ((3, 2), (3,), (2, 3), (2,))
    optimizer = make("optimizer", [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes])
    if key.endswith("scheduler"):
        make("scheduler", optimizer)


def _check_keys(config: DictConfig) -> None:
    """Every key of the schema is there, and no other: Hydra's `+key` and `~key` get past it."""
    for prefix, kind in (
        ("", Config),
        ("trainer.", Trainer),
        ("tracking.", Tracking),
        ("paths.", Paths),
    ):
        node = config[prefix[:-1]] if prefix else config
        names = [one.name for one in fields(kind)]
        for key in map(str, node):
            if key not in names:
                raise ConfigError(
                    f"{prefix}{key}: there is no such key" + nearest(key, names, prefix)
                )
        for name in names:
            if name not in node or OmegaConf.is_missing(node, name):
                raise ConfigError(f"{prefix}{name}: expected a value; none is given")


def _check_numbers(config: DictConfig) -> None:
    """Ranges of the keys that the schema types."""
    trainer = config.trainer
    for key in ("epochs", "batch_size", "threads"):
        if trainer[key] < 1:
            raise ConfigError(f"trainer.{key}={trainer[key]}: expected an integer >= 1")
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
    if not 1 <= config.tracking.port <= 65535:
        raise ConfigError(f"tracking.port={config.tracking.port}: expected 1 to 65535")
    for key in ("data", "mlruns"):
        if not config.paths[key]:
            raise ConfigError(f"paths.{key}: expected a folder")
    if not config.tracking.experiment:
        raise ConfigError("tracking.experiment: expected a name")
