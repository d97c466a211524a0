"""What the fields of a technique hold: values that are checked, and schedules of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, Self

from torch import Tensor

from regexp.errors import ConfigError
from regexp.regularizer.ranges import check_value, declared
from regexp.regularizer.schedule import Schedule


class Hyperparameters:
    """What a technique's fields hold; a subclass is a frozen dataclass.

    Raises:
        ConfigError: for a value that its field's annotation does not allow, the field as its key.
    """

    constant: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        # mypy takes the class for one of its instances
        for name, (types, allowed) in declared(type(self)).items():  # type: ignore[arg-type]
            value = getattr(self, name)
            if isinstance(value, Mapping | Schedule):
                value = self._schedule(name, value, float in types)
                object.__setattr__(self, name, value)
                continue
            # YAML writes 1 for 1.0, and only floats may differ from run to run within a stack.
            if type(value) is int and float in types:
                value = float(value)
                object.__setattr__(self, name, value)
            if allowed is not None and not (value is None and type(None) in types):
                check_value(name, value, allowed)
        if self.schedules:
            for end in ("initial", "final"):
                self.with_values({n: getattr(s, end) for n, s in self.schedules.items()})
        elif not any(isinstance(value, Tensor) for value in vars(self).values()):
            self.check()

    def _schedule(self, name: str, value: Any, is_float: bool) -> Schedule | float:
        """The schedule of a field; a number where it stays the same."""
        if name in self.constant or not is_float:
            raise ConfigError(
                f"expected one value for the whole run, got {value}",
                key=name,
                cure="it is used where no step is known, or is no number with a fraction",
            )
        try:
            return Schedule.of(value)
        except ConfigError as error:
            key = f"{name}.{error.key}" if error.key else name
            raise ConfigError(error.problem, key=key, cure=error.cure) from error

    @classmethod
    def accepts(cls, name: str, value: Any) -> bool:
        """Whether a plain value of YAML, which is not of its field's type, is a schedule for it."""
        field = declared(cls).get(name)  # type: ignore[arg-type]
        return Schedule.is_written(value) and field is not None and float in field.types

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The values of its fields, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    @property
    def schedules(self) -> dict[str, Schedule]:
        """The numbers that follow a schedule, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Schedule)}

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The technique with other values of some fields."""
        return replace(self, **values)  # type: ignore[type-var]

    def check(self) -> None:
        """Raise ConfigError for values that are good each, but not together (`check_value`).

        Not called inside a stack, where numbers are tensors: they were checked for each run.
        """
