"""The check of a whole configuration, before anything is written.

Whatever is wrong is one `ConfigError` that names the key, what was expected and the nearest valid
choices. Torch is imported only where a node needs it.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from regexp.config.checks import check_numbers, check_schema
from regexp.config.declared import as_declared
from regexp.config.functions import check_trainer
from regexp.config.nodes import blame, build_node, check_node, without_search
from regexp.config.search_space import Dimension
from regexp.config.search_space import check as check_tune
from regexp.config.targets import find_target
from regexp.config.values import GROUPS, copied, grid_of, plain, seeds_of, shown
from regexp.errors import ConfigError, reason_of

UNWRITABLE = re.compile(r"[\0\ud800-\udfff]")
_STEPS_PER_EPOCH = 1_000_000
"""Where only the data will tell: whether something fits in a run is seen when it is planned."""


def validate(config: DictConfig, valid: set[str] | None = None) -> None:
    """Check all of a job's configuration that can be checked without its data.

    Args:
        config: composed by Hydra, not resolved; left as it is.
        valid: groups as they were found valid in other jobs of the sweep, which most have alike;
            this job's are added.

    Raises:
        ConfigError: the first thing that is wrong.
    """
    check_schema(config)
    _check_texts(config)
    check_trainer(config)
    seeds_of(config)
    grid = grid_of(config)
    searched = check_tune(config)
    for key in ("dataset", "model", "optimizer", "scheduler"):
        # without a choice of it, `dataset` has what all datasets have, and no class
        if not config[key] or config[key].get("_target_", "") is None:
            raise ConfigError(f"{key}: expected a choice of this group; see regexp --help")
    with lengths_filled(config, _STEPS_PER_EPOCH):
        _validate_groups(config, grid, searched, set() if valid is None else valid)


def _validate_groups(
    trial: DictConfig,
    grid: Mapping[str, Sequence[Any]],
    searched: Sequence[Dimension],
    valid: set[str],
) -> None:
    """Check the groups, with each value of a grid and range.

    Args:
        trial: a job's configuration with its lengths filled in.
        grid: key -> values.
        searched: ranges.
        valid: see `validate`.
    """
    for key in GROUPS:
        text = _text_of(trial, key)
        if text is None or text not in valid:
            check_group(trial, key)
        if text is not None:
            valid.add(text)
    for key, values in grid.items():
        group = key.split(".")[0]
        for value in values:
            point = copied(trial)
            OmegaConf.update(point, key, value)
            if group == "trainer":
                check_numbers(point)
            elif group in trial:
                check_group(point, group, label="grid.")
    for one in searched:
        check_range(trial, one)


def _text_of(config: DictConfig, group: str) -> str | None:
    """What the check of a group looks at, resolved: a scheduler is checked on its optimizer.

    None if it cannot be resolved, which the check will say.
    """
    try:
        return f"{group} {plain(config[group])} {plain(config.optimizer)}"
    except OmegaConfBaseException:
        return None


def check_range(config: DictConfig, one: Dimension) -> None:
    """Check that the ends of a range, or each of its choices, are valid by themselves.

    Args:
        config: a job's, with its lengths filled in.
        one: the range.

    Raises:
        ConfigError: naming the range.
    """
    group = one.key.partition(".")[0]
    point = copied(config)
    for value in one.extremes:
        try:
            OmegaConf.update(point, one.key, value)
            if group == "trainer":
                check_numbers(point)
            else:
                check_group(point, group)
        except (ConfigError, OmegaConfBaseException) as error:
            reason = str(error)
            if not isinstance(error, ConfigError):
                reason = f"{one.key} cannot be {shown(value)}"
                reason += "; int(interval(a, b)) draws integers" * isinstance(value, float)
            cure = ""
            if one.source.startswith("search.space."):
                cure = f"give another range, or leave it out by {one.source}=null"
            named = f"{one.source}={one.text}"
            raise ConfigError(reason, key=named, cure=cure) from error


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


@contextmanager
def lengths_filled(
    config: DictConfig, steps_per_epoch: int, steps: int | None = None
) -> Iterator[None]:
    """Have the `lengths` of a job's configuration filled in meanwhile, without a copy of all of it.

    Args:
        config: of a job.
        steps_per_epoch: of the first epoch.
        steps: of the whole run, if its epochs differ.
    """
    empty = config.lengths.copy()
    filled = steps_per_epoch * config.trainer.epochs if steps is None else steps
    config.lengths.steps_per_epoch, config.lengths.steps = steps_per_epoch, filled
    try:
        yield
    finally:
        config.lengths = empty


def with_lengths(config: DictConfig) -> DictConfig:
    """A copy of a job's configuration with `lengths` to check it by, before its data are known."""
    with lengths_filled(config, _STEPS_PER_EPOCH):
        return copied(config)


def check_group(config: DictConfig, group: str, label: str = "") -> None:
    """Check the node of one group, as `regexp.config.nodes.check_node` does.

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
        reason = reason_of(error)
        raise ConfigError(f"{label}{error.full_key!s}: {reason}") from error
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
        check_node(f"{label}model", node, given=("input_shape", "outputs", "training_inputs"))
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

    from regexp.optimizer import needs_closure

    def node_of(group: str) -> dict[str, Any]:
        node = plain(config[group])
        node.pop("interval", None)
        made: dict[str, Any] = as_declared(key, node)  # as a run will have it
        return made

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
    if needs_closure(optimizer):
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
