"""Optimizers and schedules of a stack's runs.

To the outside each run has its own ordinary torch optimizer and scheduler, with an ordinary state
dict. Inside, neighbouring runs with equal numbers share one that steps their stacked parameters,
where every element's update depends on that element alone, which makes it exact; the others step
views of their part of the stacked parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Size, Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from regexp.optimizer import ELEMENTWISE
from regexp.scheduler import Schedule


@dataclass(frozen=True)
class Stepper:
    """How one run is stepped.

    Attributes:
        optimizer: makes an optimizer of an iterable of parameters.
        scheduler: makes a scheduler of an optimizer.
        interval: what the scheduler counts, `step` or `epoch`.
    """

    optimizer: Callable[..., Optimizer]
    scheduler: Callable[[Optimizer], LRScheduler]
    interval: str

    def shares(self, other: Stepper) -> bool:
        """Whether one optimizer can serve both runs exactly."""
        kind = getattr(self.optimizer, "func", self.optimizer)
        return (
            kind in ELEMENTWISE
            and self.interval == other.interval
            and _same(self.optimizer, other.optimizer)
            and _same(self.scheduler, other.scheduler)
        )


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, partial) and isinstance(other, partial):
        return (one.func, one.args, one.keywords) == (other.func, other.args, other.keywords)
    return one is other


@dataclass
class _Group:
    """Neighbouring runs stepped by one optimizer.

    Attributes:
        runs: their positions in the stack.
        parameters: the stack's own (`whole`), or views of their part of them.
        axis: whether `parameters` have a run axis.
        whole: whether `parameters` are the stack's own.
    """

    runs: list[int]
    parameters: list[nn.Parameter]
    axis: bool
    whole: bool
    optimizer: Optimizer
    schedule: Schedule = field(init=False)

    def part(self, tensor: Tensor) -> Tensor:
        """The group's part of a stacked tensor."""
        return tensor[self.runs[0] : self.runs[-1] + 1] if self.axis else tensor[self.runs[0]]


class Optimizers:
    """The optimizers and schedules of K runs.

    Args:
        steppers: one a run.
        parameters: the stack's, [K, ...] each if `lifted`.
        lifted: whether parameters have a run axis.
    """

    def __init__(
        self, steppers: Sequence[Stepper], parameters: Sequence[nn.Parameter], lifted: bool
    ) -> None:
        self.parameters = list(parameters)
        self.groups: list[_Group] = []
        runs: list[int] = []
        for run, stepper in enumerate(steppers):
            runs.append(run)
            if run + 1 == len(steppers) or not stepper.shares(steppers[run + 1]):
                self.groups += self._make(runs, stepper, len(steppers), lifted)
                runs = []
        self.counts_steps = any(group.schedule.interval == "step" for group in self.groups)

    def _make(self, runs: list[int], stepper: Stepper, total: int, lifted: bool) -> list[_Group]:
        """One group of the runs, or one each if their schedule follows their own losses."""
        group = self._group(runs, stepper, len(runs) == total, lifted)
        if group.axis and group.schedule.uses_metric:
            return [self._group([run], stepper, False, lifted) for run in runs]
        return [group]

    def _group(self, runs: list[int], stepper: Stepper, whole: bool, lifted: bool) -> _Group:
        axis = lifted and len(runs) > 1
        whole = whole and (axis or not lifted)
        group = _Group(runs, self.parameters, axis, whole, None)  # type: ignore[arg-type]
        if not whole:
            group.parameters = [nn.Parameter(group.part(p.data)) for p in self.parameters]
        group.optimizer = stepper.optimizer(group.parameters)
        group.schedule = Schedule(stepper.scheduler, stepper.interval, group.optimizer)
        return group

    def step(self) -> None:
        """One step of every run from the gradients of the stack's parameters."""
        for group in self.groups:
            if not group.whole:
                for own, parameter in zip(group.parameters, self.parameters, strict=True):
                    own.grad = None if parameter.grad is None else group.part(parameter.grad)
            group.optimizer.step()
            group.schedule.step_batch()

    def step_epoch(self, validation_losses: Sequence[float]) -> None:
        """Note that an epoch ended with these validation losses, one a run."""
        for group in self.groups:
            group.schedule.step_epoch(validation_losses[group.runs[0]])

    def learning_rates(self) -> list[float]:
        """Of the next step, one a run."""
        return [group.schedule.learning_rate for group in self.groups for _ in group.runs]

    def state(self, run: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The state dicts of one run's optimizer and scheduler, as if it had been alone."""
        group = next(group for group in self.groups if run in group.runs)
        position = group.runs.index(run)
        shapes = [parameter.shape for parameter in group.parameters]

        def own(value: Any, shape: Size) -> Any:
            if group.axis and _stacked(value, shape):
                value = value[position]
            return value.clone() if isinstance(value, Tensor) else value

        state = group.optimizer.state_dict()
        state["state"] = {
            index: {key: own(value, shapes[index]) for key, value in values.items()}
            for index, values in state["state"].items()
        }
        return state, copy.deepcopy(group.schedule.state_dict())

    def state_dict(self) -> list[dict[str, Any]]:
        """The states of all, as they step the stack's parameters; not copied."""
        return [
            {"optimizer": group.optimizer.state_dict(), "schedule": group.schedule.state_dict()}
            for group in self.groups
        ]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        """Go on from what `state_dict` gave for an equal stack."""
        for group, state in zip(self.groups, states, strict=True):
            group.optimizer.load_state_dict(state["optimizer"])
            group.schedule.load_state_dict(state["schedule"])

    def take(self, runs: Sequence[int], parameters: Callable[[], None]) -> None:
        """Keep only these runs.

        Args:
            runs: positions in the stack, in order.
            parameters: cuts the stack's own parameters down to them.
        """
        before = {id(group): [p.shape for p in group.parameters] for group in self.groups}
        parameters()
        place = {run: position for position, run in enumerate(runs)}
        kept = []
        for group in self.groups:
            inner = [position for position, run in enumerate(group.runs) if run in place]
            if not inner:
                continue
            group.runs = [place[group.runs[position]] for position in inner]
            for own, parameter, shape in zip(
                group.parameters, self.parameters, before[id(group)], strict=True
            ):
                if not group.whole:
                    own.data = group.part(parameter.data)
                if group.axis:
                    values = group.optimizer.state.get(own, {})
                    for key, value in values.items():
                        if _stacked(value, shape):
                            values[key] = value[inner]
            kept.append(group)
        self.groups = kept


def _stacked(value: Any, shape: Size) -> bool:
    return isinstance(value, Tensor) and value.shape == shape
