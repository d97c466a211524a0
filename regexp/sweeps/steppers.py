"""Optimizers and schedules that torch would refuse only while a run trains."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import lru_cache
from numbers import Real

import torch
from torch import nn

from regexp.config.nodes import blame
from regexp.errors import ConfigError
from regexp.scheduler import Schedule
from regexp.stack.member import PARAMETER_TYPES
from regexp.sweeps.identity import Node
from regexp.sweeps.ingredients import build_stepper
from regexp.training.checkpoint import check_plain, with_numbers
from regexp.training.device import device_of


def check_stepper(config: Node, plan: Sequence[tuple[int, int]]) -> None:
    """Step a run's optimizer on its device, and the schedule where the run ends.

    Args:
        config: of the run, resolved.
        plan: its `lengths`.

    Raises:
        ConfigError: torch refuses one of the two.
    """
    trainer = config["trainer"]
    nodes = json.dumps({key: config[key] for key in ("optimizer", "scheduler")})
    steps, device = sum(count for _, count in plan), device_of(trainer["device"])
    _check(nodes, len(plan), steps, device, trainer["precision"])


@lru_cache(maxsize=64)
def _check(nodes: str, epochs: int, steps: int, device: str, precision: str) -> None:
    """`check_stepper` of what many runs have in common."""
    config = json.loads(nodes)
    stepper = build_stepper(config)
    # a hidden matrix and an output layer's, with a bias each
    shapes, dtype = ((3, 2), (3,), (2, 3), (2,)), PARAMETER_TYPES[precision]
    parameters = [nn.Parameter(torch.zeros(shape, dtype=dtype)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = stepper.optimizer(parameters)
    try:
        schedule = Schedule(stepper.scheduler, stepper.interval, optimizer)
    except Exception as error:  # a class may raise anything
        raise blame("scheduler", config["scheduler"], error) from error
    rate = optimizer.param_groups[0]["lr"]
    if not isinstance(rate, Real | torch.Tensor):
        raise ConfigError(
            f"the learning rate that it gives is {rate!r}", key="scheduler", expected="a number"
        )
    if device == "cpu":
        try:
            optimizer.step()
        except Exception as error:  # a user's class may raise anything
            if config["optimizer"].get("capturable"):
                raise ConfigError(
                    "such an optimizer steps on a GPU alone, and this run would be on the CPU",
                    key="optimizer.capturable",
                    got=True,
                    cure="leave it out, or give trainer.device=cuda",
                ) from error
            raise blame("optimizer", config["optimizer"], error) from error
    _check_states(schedule, config)
    scheduler, times = schedule.scheduler, steps if stepper.interval == "step" else epochs
    # those of torch hang on the number of the step, by which a run's last one is reached at once
    if schedule.uses_metric or not times or not type(scheduler).__module__.startswith("torch."):
        return
    scheduler.last_epoch = times - 1
    try:
        with warnings.catch_warnings():
            # that the optimizer has made no step, which one of a GPU makes only there
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            scheduler.step()
    except Exception as error:  # as a user's function of LambdaLR
        raise blame("scheduler", config["scheduler"], error) from error


def _check_states(schedule: Schedule, config: Node) -> None:
    """The states of both can be kept in a checkpoint; an own scheduler makes a step before."""
    try:
        if not (schedule.uses_metric or schedule.goes_by_count):
            schedule.scheduler.step()
        state = schedule.state_dict()
    except Exception as error:  # a class may raise anything
        raise blame("scheduler", config["scheduler"], error) from error
    for key, content in (("scheduler", state), ("optimizer", schedule.optimizer.state_dict())):
        for name, value in content.items():
            try:
                check_plain(with_numbers(value))
            except ValueError as error:
                raise ConfigError(
                    f"its state cannot be kept in a checkpoint: {name!a} in its `state_dict` is "
                    f"no number, text or tensor ({error})",
                    key=key,
                    cure="leave it out by a `state_dict` and a `load_state_dict` of its own",
                ) from error
