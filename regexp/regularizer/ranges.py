"""Which values the fields of a technique may have: said in their annotations, read here."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, NamedTuple

from torch import Tensor

from regexp.errors import ConfigError

__all__ = ["Choice", "Declared", "Include", "Range", "check_value", "declared"]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`: `Annotated[float, Range(0, 1, open_high=True)]` is 0 <= x < 1.

    Args:
        low: the smallest of them.
        high: the largest.
        open_low: leave out `low` itself.
        open_high: leave out `high` itself.
    """

    low: float
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        low = f"a number {'>' if self.open_low else '>='} {self.low:g}"
        if self.high == math.inf:
            return low
        return f"{low} and {'<' if self.open_high else '<='} {self.high:g}"


class Choice:
    """One of some words: `Annotated[str, Choice("norm", "value")]`."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __contains__(self, value: object) -> bool:
        return value in self.words

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.words))}"


Include = Annotated[str, Choice("weights", "all")]
"""The parameters that a technique acts on (`regexp.regularizer.base.weights`)."""


class Declared(NamedTuple):
    """What the annotation of a field says.

    Attributes:
        types: of the values.
        allowed: those of the values that may be, other than None; None if all may.
    """

    types: tuple[Any, ...]
    allowed: Range | Choice | None


@cache
def declared(technique: type) -> dict[str, Declared]:
    """The declarations of a technique's fields, by name."""
    hints = typing.get_type_hints(technique, include_extras=True)
    fields = {}
    for field in dataclasses.fields(technique):
        kind, allowed = hints[field.name], None
        if typing.get_origin(kind) is Annotated:
            kind, allowed = typing.get_args(kind)
        union = typing.get_origin(kind) in (typing.Union, types.UnionType)
        fields[field.name] = Declared(typing.get_args(kind) if union else (kind,), allowed)
    return fields


def check_value(name: str, value: Any, allowed: Range | Choice) -> None:
    """Refuse a value that is not `allowed`.

    Numbers that are tensors (inside a stack) were checked when their runs were made.

    Raises:
        ConfigError: its key is `name`, that of the field.
    """
    if not isinstance(value, Tensor) and value not in allowed:
        raise ConfigError(f"expected {allowed}, got {value!r}", key=name)
