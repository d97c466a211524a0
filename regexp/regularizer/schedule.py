"""Numbers of techniques that change over a run: `{from: 0.5, to: 0, shape: cosine, until: 0.3}`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.errors import ConfigError
from regexp.regularizer.views import Step

__all__ = ["SHAPES", "Schedule"]

Number = float | Tensor

_KEYS = {"from": "initial", "to": "final", "shape": "shape", "start": "start", "until": "until"}
"""What YAML calls the fields of a schedule."""


def _linear(initial: Number, final: Number, share: Tensor) -> Tensor:
    return initial * (1 - share) + final * share


def _cosine(initial: Number, final: Number, share: Tensor) -> Tensor:
    return _linear(initial, final, (1 - torch.cos(math.pi * share)) / 2)


def _exponential(initial: Number, final: Number, share: Tensor) -> Tensor:
    return initial ** (1 - share) * final**share


def _step(initial: Number, final: Number, share: Tensor) -> Tensor:
    none = torch.zeros_like(share)  # torch.where takes floats for float32
    return torch.where(share < 1, initial + none, final + none)


SHAPES: dict[str, Callable[[Number, Number, Tensor], Tensor]] = {
    "linear": _linear,
    "cosine": _cosine,
    "exponential": _exponential,
    "step": _step,
}
"""The ways from one value to the other: by the share of the way that was gone, in [0, 1]."""


@dataclass(frozen=True)
class Schedule:
    """A number that goes from one value to another while a run trains.

    It may stand for any float of a technique that is used in a step. Before `start` it is the
    initial value, from `until` on the final one, and in between

    - `linear`: a straight line;
    - `cosine`: half a cosine, flat at both ends (Loshchilov & Hutter 2017,
      https://arxiv.org/abs/1608.03983, without restarts);
    - `exponential`: a constant factor a step;
    - `step`: the initial value; `until` has to be below 1, or nothing would change.

    In a technique's hooks the number of step t of T is that at the share t / T of the run, t from
    0: a tensor of no dimension in float64, alone as in a stack. Layers draw their noise with it.

    Args:
        initial: value until `start`; `from` in YAML.
        final: value from `until` on; `to` in YAML.
        shape: of the way between them, one of `SHAPES`.
        start: share of the run's optimizer steps at which the way begins, in [0, 1).
        until: share at which it ends, in (start, 1].

    Raises:
        ConfigError: for a value that is none of these.
    """

    initial: Number
    final: Number
    shape: str = "linear"
    start: Number = 0.0
    until: Number = 1.0

    def __post_init__(self) -> None:
        names = {ours: key for key, ours in _KEYS.items()}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor) or field.name == "shape":
                continue
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise ConfigError(f"expected a number, got {value!r}", key=names[field.name])
            object.__setattr__(self, field.name, float(value))
        if self.shape not in SHAPES:
            raise ConfigError(
                f"expected one of {', '.join(SHAPES)}, got {self.shape!r}", key="shape"
            )
        if any(isinstance(value, Tensor) for value in self.numbers.values()):
            return  # of a stack: each was checked when it was made
        if not 0 <= self.start < self.until <= 1:
            raise ConfigError(
                "expected shares of the run, 0 <= start < until <= 1, got "
                f"start={self.start:g} and until={self.until:g}",
                key="until",
            )
        if self.shape == "step" and self.until == 1:
            raise ConfigError(
                "a step at the end of the run, at 1, would leave the initial value all along",
                key="until",
                cure="give the share of the run at which it steps, below 1",
            )
        if self.shape == "exponential" and not (self.initial > 0 and self.final > 0):
            raise ConfigError(
                f"an exponential way needs numbers > 0 at both ends, got {self.initial:g} and "
                f"{self.final:g}",
                key="shape",
                cure="take linear or cosine",
            )

    @classmethod
    def of(cls, value: Mapping[str, Any] | Schedule) -> Schedule | float:
        """A schedule of a mapping as YAML writes it; a number where its ends are the same.

        Raises:
            ConfigError: for what is none.
        """
        if isinstance(value, Mapping):
            if unknown := [str(key) for key in value if key not in _KEYS]:
                raise ConfigError(f"a schedule has no {unknown[0]}; it has {', '.join(_KEYS)}")
            for end in ("from", "to"):
                if end not in value:
                    raise ConfigError(f"a schedule needs `{end}`, the value that it goes {end}")
            value = cls(**{_KEYS[key]: one for key, one in value.items()})
        if value.is_constant:
            return value.initial  # type: ignore[return-value]  # a float, as it has a bool
        return value

    @staticmethod
    def is_written(value: Any) -> bool:
        """Whether a plain value of YAML is meant as a schedule."""
        return isinstance(value, Mapping) and bool(value) and set(value) <= set(_KEYS)

    @property
    def numbers(self) -> dict[str, Number]:
        """What may differ from run to run within a stack, by field."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "shape"}

    @property
    def is_constant(self) -> bool:
        """Whether both ends are the same number."""
        if isinstance(self.initial, Tensor) or isinstance(self.final, Tensor):
            return False
        return self.initial == self.final

    def at(self, step: Step) -> Tensor:
        """Its value in a step: float64, of no dimension, or [runs] if its numbers are [runs]."""
        share = (step.index_tensor / step.steps - self.start) / (self.until - self.start)
        return SHAPES[self.shape](self.initial, self.final, share.clamp(0, 1)).to(torch.float64)

    def __mul__(self, factor: float) -> Schedule:
        """The schedule of a multiple of the number, for layers of which each has its own."""
        return Schedule(
            self.initial * factor, self.final * factor, self.shape, self.start, self.until
        )

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Schedule:
        return self * (1 / divisor)

    def _refuse(self, *_: Any) -> NoReturn:
        raise ConfigError(
            "a number that is used where no step is known (in building the network, or between "
            "epochs) cannot follow a schedule",
            key="regularizer",
            cure="give one number; a technique of your own says so by "
            "`class ...(Regularizer, constant=(name,))`",
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __rtruediv__ = __pow__ = __rpow__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __int__ = __float__ = __index__ = _refuse
    __neg__ = __abs__ = __mod__ = __floordiv__ = _refuse


def _flatten(schedule: Schedule) -> tuple[list[Number], str]:
    return list(schedule.numbers.values()), schedule.shape


def _unflatten(values: Any, shape: str) -> Schedule:
    schedule = object.__new__(Schedule)  # its values may be anything for a while
    names = [field.name for field in fields(Schedule) if field.name != "shape"]
    vars(schedule).update(zip(names, values, strict=True), shape=shape)
    return schedule


pytree.register_pytree_node(Schedule, _flatten, _unflatten)  # so that `vmap` sees its tensors
