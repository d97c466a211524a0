"""The check of a configuration's keys, and of the numbers that the schema types."""

import math
import os
import re
from dataclasses import fields

from omegaconf import DictConfig, OmegaConf

from regexp.config.schema import (
    Checkpoint,
    Compare,
    Config,
    Launch,
    Lengths,
    Paths,
    Rungs,
    Search,
    Study,
    Tracking,
    Trainer,
    Tune,
)
from regexp.config.values import AUTO, every_of, yardsticks_of
from regexp.errors import ConfigError, nearest

PRECISIONS = ("float32", "float64", "bfloat16")
STEPS = ("auto", "general")
ELSEWHERE = ("anew", "continue")
MOST = 10**9
"""Of epochs and rows; no more can be meant, and products of them stay in 64 bits."""

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


def check_schema(config: DictConfig) -> None:
    """Check the keys of a configuration and the numbers that the schema types.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    _check_keys(config)
    check_numbers(config)


def _check_keys(config: DictConfig) -> None:
    """Every key of the schema is there, and no other: Hydra's `+key` and `~key` get past it."""
    for prefix, kind in (
        ("", Config),
        ("trainer.", Trainer),
        ("lengths.", Lengths),
        ("checkpoint.", Checkpoint),
        ("launch.", Launch),
        ("tune.", Tune),
        ("search.", Search),
        ("search.rungs.", Rungs),
        ("compare.", Compare),
        ("study.", Study),
        ("tracking.", Tracking),
        ("paths.", Paths),
    ):
        node = OmegaConf.select(config, prefix[:-1]) if prefix else config
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


def _check_machine(trainer: DictConfig) -> None:
    """Cores and GPUs that this machine has."""
    cores = os.cpu_count() or 1
    if trainer.threads > cores:
        raise ConfigError(
            f"trainer.threads={trainer.threads}: expected 1 to {cores}, the CPU cores of this "
            "machine"
        )
    if trainer.device.startswith("cuda"):
        import torch

        index = int(trainer.device.partition(":")[2] or 0)
        if index >= torch.cuda.device_count():
            raise ConfigError(
                f"trainer.device={trainer.device}: this machine has {torch.cuda.device_count()} "
                "CUDA devices that torch can use; expected cpu, or auto"
            )


def check_numbers(config: DictConfig) -> None:
    """Ranges of the keys that the schema types."""
    trainer = config.trainer
    for key in ("epochs", "batch_size", "threads"):
        if trainer[key] < 1:
            raise ConfigError(f"trainer.{key}={trainer[key]}: expected an integer >= 1")
        if trainer[key] > MOST:
            raise ConfigError(f"trainer.{key}={trainer[key]}: expected at most {MOST:,}")
    if not 0 <= trainer.sharpness <= MOST:
        raise ConfigError(
            f"trainer.sharpness={trainer.sharpness}: expected a number of training rows, or 0"
        )
    if not DEVICE.fullmatch(trainer.device):
        raise ConfigError(
            f"trainer.device={trainer.device}: expected auto, cpu, cuda or cuda:<number>"
        )
    if not config.launch.elsewhere:
        _check_machine(trainer)
    if trainer.precision not in PRECISIONS:
        raise ConfigError(
            f"trainer.precision={trainer.precision}: expected one of {', '.join(PRECISIONS)}"
        )
    if trainer.step not in STEPS:
        raise ConfigError(f"trainer.step={trainer.step}: expected one of {', '.join(STEPS)}")
    for key, least in (("retries", 0), ("jobs_per_task", 1)):
        if not least <= config.launch[key] <= MOST:
            raise ConfigError(f"launch.{key}={config.launch[key]}: expected an integer >= {least}")
    every_of(config)
    if config.checkpoint.store not in (True, False, AUTO):
        raise ConfigError(
            f"checkpoint.store={config.checkpoint.store}: expected true, false or {AUTO}"
        )
    if config.checkpoint.elsewhere not in ELSEWHERE:
        raise ConfigError(
            f"checkpoint.elsewhere={config.checkpoint.elsewhere}: expected "
            + " or ".join(ELSEWHERE)
        )
    yardsticks_of(config)
    matters = config.compare.matters
    if matters is not None and not 0 <= matters < math.inf:
        raise ConfigError(f"compare.matters={matters}: expected a number >= 0, or null")
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
