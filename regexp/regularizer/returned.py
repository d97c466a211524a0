"""What the hooks of a technique give back, looked at, as somebody wrote them for the first time."""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import Any, TypeVar

from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.errors import ConfigError, few

Value = TypeVar("Value")


def of_type(value: Any, kind: type[Value], key: str, hook: str) -> Value:
    """What a hook gives, if it is of a type.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"its {hook} gives a {type(value).__name__}, expected a {kind.__name__}",
            key=key,
            cure="end it with a return" if value is None else "",
        )
    return value


def of_names(value: Any, names: Collection[str], key: str, hook: str) -> dict[str, Tensor]:
    """Tensors by name, if a hook gives one for each of some names, and no others.

    Raises:
        ConfigError: it does not.
    """
    tensors: dict[str, Tensor] = of_type(value, dict, key, hook)
    if tensors.keys() != names:
        left, more = ([*names - tensors.keys()], [*tensors.keys() - names])
        what = f"leaves out {few(sorted(left))}" if left else f"has also {few(sorted(more))}"
        raise ConfigError(
            f"its {hook} {what}; expected each of the names that it was given, and no others",
            key=key,
            cure="return given | changed",
        )
    return tensors


def of_tensors(memory: Any, key: str, hook: str) -> Any:
    """A memory, if it is of tensors.

    Raises:
        ConfigError: there is something else in it.
    """
    for leaf in pytree.tree_leaves(memory):
        if not isinstance(leaf, Tensor):
            raise ConfigError(
                f"its {hook} gives a memory with {leaf!r}, a {type(leaf).__name__}; expected "
                "nested dicts of tensors",
                key=key,
                cure="keep numbers as torch.tensor(...)",
            )
    return memory


def of_rows(value: Any, key: str) -> int:
    """A size of batches, if it is one.

    Raises:
        ConfigError: it is no whole number from 1.
    """
    try:
        rows = operator.index(value)
    except TypeError:
        rows = 0
    if rows < 1:
        raise ConfigError(
            f"its batch_size gives {value!r}, expected a whole number from 1", key=key
        )
    return rows
