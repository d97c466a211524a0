"""Nodes of `trainer` that name what is called: a loss and metrics of the user's own."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from regexp.config.bars import as_bars
from regexp.config.nodes import DIRECTIVES, build_node, check_node
from regexp.config.targets import find_target
from regexp.config.values import is_number, plain, shown
from regexp.errors import ConfigError, reason_of
from regexp.metrics.names import OF_A_SPLIT, told_by_name

BALANCED = "balanced"
LOWER = "lower_is_better"
"""Directive of a node of a metric, beside its arguments."""

_NAME = re.compile(r"[A-Za-z0-9_][\w\-. ]*")


def check_trainer(config: DictConfig) -> None:
    """Check what `trainer` has beside single numbers, as far as that can be done without data.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    try:
        trainer = plain(config.trainer)
    except OmegaConfBaseException as error:
        reason = reason_of(error)
        raise ConfigError(f"{error.full_key!s}: {reason}") from error
    _check_class_weight(trainer["class_weight"])
    as_bars(trainer["bars"])
    if trainer["loss"] is not None:
        _check_function("trainer.loss", trainer["loss"])
    metrics = trainer["metrics"]
    if metrics is not None and not isinstance(metrics, Mapping):
        raise ConfigError(
            f"trainer.metrics={shown(metrics)}: expected null, or names with what each is, such as "
            "{cost: {_target_: my_project.cost}}"
        )
    for name, node in (metrics or {}).items():
        key = f"trainer.metrics.{name}"
        if not _NAME.fullmatch(str(name)):
            raise ConfigError(f"{key}: expected a name of letters, digits, _, -, . and spaces")
        if name in OF_A_SPLIT:
            raise ConfigError(f"{key}: every run has a metric of this name; give it another")
        if isinstance(node, Mapping) and not isinstance(node.get(LOWER, False), bool):
            raise ConfigError(f"{key}.{LOWER}={shown(node[LOWER])}: expected true or false")
        _check_function(key, without_direction(node))


def told_of_metrics(trainer: Mapping[str, Any]) -> Iterator[str]:
    """A line on each metric of the user's own of which nothing tells which way is better."""
    for name, node in (trainer["metrics"] or {}).items():
        if LOWER not in node and told_by_name(name) is None:
            said = shlex.quote(f"+trainer.metrics.{name}.{LOWER}=true")
            yield (
                f"large values of the metric {name} count as good ones, as its name says neither; "
                f"if small ones are: {said} (if not, false)"
            )


def _check_class_weight(asked: object) -> None:
    if asked is None or asked == BALANCED:
        return
    if not isinstance(asked, Mapping) or not asked:
        raise ConfigError(
            f"trainer.class_weight={shown(asked)}: expected null, balanced, or the weight of each "
            "class, such as {yes: 5, no: 1}"
        )
    for name, weight in asked.items():
        if not is_number(weight) or not 0 <= weight < float("inf"):
            raise ConfigError(
                f"trainer.class_weight.{name}={shown(weight)}: expected a number >= 0"
            )


def as_class_weight(asked: Any) -> Any:
    """`trainer.class_weight` in one spelling: names are texts, and weights floats."""
    if not isinstance(asked, Mapping):
        return asked
    return {str(name): float(weight) for name, weight in asked.items()}


def _check_function(key: str, node: object) -> None:
    if not isinstance(node, Mapping):
        raise ConfigError(
            f"{key}={shown(node)}: expected a function or class, named by _target_, such as "
            "{_target_: my_project.function}"
        )
    target = find_target(key, node)
    given: list[str] = []
    if not inspect.isclass(target):  # it is called with outputs and targets
        try:
            given = [*inspect.signature(target).parameters][:2]
        except (TypeError, ValueError):  # some built-in functions have none
            given = []
    if taken := [name for name in given if name in node and name not in DIRECTIVES]:
        raise ConfigError(
            f"{key}.{taken[0]}: the first two arguments of {node['_target_']} are outputs and "
            "targets, which every call gives"
        )
    check_node(key, node, given=given)


def without_direction(node: Any) -> Any:
    """The node of a metric without what says which way is better."""
    if not isinstance(node, Mapping):
        return node
    return {name: value for name, value in node.items() if name != LOWER}


def build_function(key: str, node: Mapping[str, Any]) -> Callable[..., Any]:
    """What a node names as something to call with outputs and targets.

    A function is it itself, with the node's arguments; of a class an instance is.

    Raises:
        ConfigError: the class cannot be instantiated, or its instances cannot be called.
    """
    target = find_target(key, node)
    if not inspect.isclass(target):
        return build_node(key, {**node, "_partial_": True})
    made = build_node(key, node)
    if not callable(made):
        raise ConfigError(f"{key}._target_={node['_target_']}: what it makes cannot be called")
    return made
