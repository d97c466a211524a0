"""The values of nodes as the signatures of their targets declare them: 1 is 1.0 for a float.

What is written in several ways is one value, for whoever computes with it and for what a run is.
"""

import types
import typing
from collections.abc import Mapping
from typing import Any

from regexp.config.nodes import DIRECTIVES, fits, hints
from regexp.config.targets import find_target

_TARGET = "_target_"


def as_declared(key: str, value: Any) -> Any:
    """A value of a configuration, and all within it, as its targets declare it.

    An integer becomes the float that it equals where a float is declared and no integer may stand;
    the zeros of both signs are one. Everything else stays as it is.

    Args:
        key: dotted, for messages.
        value: plain, resolved.

    Raises:
        ConfigError: a node whose target cannot be imported.
    """
    return _typed(key, value, Any)


def _typed(key: str, value: Any, expected: Any) -> Any:
    if isinstance(value, Mapping):
        if _TARGET in value:
            each = hints(find_target(key, value))
        elif float in _branches(expected):  # a schedule in the place of a number
            each = dict.fromkeys(value, float)
        else:
            each = dict.fromkeys(value, _inner(value, expected)[-1])
        return {
            name: one if name in DIRECTIVES else _typed(f"{key}.{name}", one, each.get(name, Any))
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        first, *others = _inner(value, expected)
        fixed = len(others) == len(value) - 1 and ... not in others  # a tuple of so many
        rest = others if fixed else [first] * (len(value) - 1)
        return [_typed(key, item, one) for item, one in zip(value, [first, *rest], strict=False)]
    if isinstance(value, float):
        return value + 0.0  # -0.0 + 0.0 is 0.0
    if isinstance(value, int) and not isinstance(value, bool) and _means_float(value, expected):
        return float(value)
    return value


def _branches(expected: Any) -> tuple[Any, ...]:
    """The members of a union; of anything else itself."""
    if typing.get_origin(expected) in (typing.Union, types.UnionType):
        return typing.get_args(expected)
    return (expected,)


def _means_float(value: int, expected: Any) -> bool:
    """Whether a float is declared, and nothing that the integer itself would be."""
    branches = _branches(expected)
    if float not in branches or any(fits(value, one) for one in branches if one is not float):
        return False
    try:
        return float(value) == value
    except OverflowError:
        return False


def _inner(value: Any, expected: Any) -> tuple[Any, ...]:
    """What a container's annotation declares of what is in it; Any where it says nothing."""
    for one in _branches(expected):
        if typing.get_args(one) and fits(value, one):
            return typing.get_args(one)
    return (Any,)
