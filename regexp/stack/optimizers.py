"""Optimizers and schedules of a stack's runs.

To the outside each run has its own ordinary torch optimizer and scheduler, with an ordinary state
dict. Inside, neighbouring runs with equal numbers share one that steps their stacked parameters,
where every element's update depends on that element alone, which makes it exact; the others step
views of their part of the stacked parameters.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from regexp.optimizer import ELEMENTWISE
from regexp.scheduler import Schedule, goes_by_count
from regexp.stack.fused_adam import FusedAdams, JoinedAdams, fused_adam_step


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
            and goes_by_count(getattr(self.scheduler, "func", self.scheduler))
            and _same(self.optimizer, other.optimizer)
            and _same(self.scheduler, other.scheduler)
        )


def _same(first: Any, second: Any) -> bool:
    if isinstance(first, partial) and isinstance(second, partial):
        return (first.func, first.args, first.keywords) == (
            second.func, second.args, second.keywords,
        )  # fmt: skip
    return first is second


def make_optimizer(
    make: Callable[..., Optimizer], parameters: Sequence[nn.Parameter], kinds: Sequence[str]
) -> Optimizer:
    """An optimizer of `parameters`, which is told their kinds if its class asks for them."""
    by_kind = getattr(getattr(make, "func", make), "by_kind", False)
    return make(parameters, kinds=kinds) if by_kind else make(parameters)


def load_state(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Go on from the state of an equal optimizer, to the bit.

    torch gives what it loads the type of the parameters, but for `step`: the product of NAdam's
    momenta, which it keeps in single precision, would go on in that of double ones.
    """
    optimizer.load_state_dict(state)
    for theirs, ours in zip(state["param_groups"], optimizer.param_groups, strict=True):
        for index, parameter in zip(theirs["params"], ours["params"], strict=True):
            there = optimizer.state.get(parameter, {})
            for key, value in state["state"].get(index, {}).items():
                if isinstance(value, Tensor) and there[key].dtype != value.dtype:
                    there[key] = value.to(there[key].device)


def simulate(stepper: Stepper, counts: Sequence[int]) -> tuple[list[float], bool]:
    """The learning rate of every step of a run, and whether it follows the validation loss.

    No parameter is stepped. A schedule that follows the validation loss sees one that never
    improves.
    """
    # two matrices and a vector: some optimizers ask for a hidden layer
    dummy = [nn.Parameter(torch.zeros(shape)) for shape in ((2, 2), (2,), (2, 2))]
    optimizer = stepper.optimizer(dummy)
    # Torch warns of a scheduler that steps first, and a user's optimizer may need gradients.
    optimizer.step = MethodType(lambda *_: None, optimizer)  # type: ignore[method-assign]
    schedule = Schedule(stepper.scheduler, stepper.interval, optimizer)
    rates: list[float] = []
    for count in counts:
        if schedule.interval == "epoch":
            optimizer.step()
            rates += [schedule.learning_rate] * count
        else:
            for _ in range(count):
                rates.append(schedule.learning_rate)
                optimizer.step()
                schedule.step_batch()
        schedule.step_epoch(1.0)
    return rates, schedule.uses_metric


class _Group:
    """Neighbouring runs stepped by one optimizer.

    Args:
        runs: their positions in the stack.
        parameters: the stack's, [K, ...] each if `lifted`.
        kinds: of each of them.
        whole: whether the runs are all of the stack, whose own parameters are then stepped.
    """

    def __init__(
        self,
        runs: list[int],
        stepper: Stepper,
        parameters: list[nn.Parameter],
        kinds: Sequence[str],
        lifted: bool,
        whole: bool,
    ) -> None:
        self.runs = runs
        self.whole = whole
        self.axis = lifted and len(runs) > 1
        self.parameters = (
            parameters
            if whole
            else [nn.Parameter(self.part(p.data), p.requires_grad) for p in parameters]
        )
        self.optimizer = make_optimizer(stepper.optimizer, self.parameters, kinds)
        self.schedule = Schedule(stepper.scheduler, stepper.interval, self.optimizer)

    def part(self, tensor: Tensor) -> Tensor:
        """The group's part of a stacked tensor, a view."""
        return tensor[self.runs[0] : self.runs[-1] + 1] if self.axis else tensor[self.runs[0]]

    def stacked(self, value: Any, parameter: Tensor) -> bool:
        """Whether a value in the optimizer's state of a parameter has a run axis."""
        return self.axis and isinstance(value, Tensor) and value.shape == parameter.shape

    def keep(self, positions: list[int]) -> None:
        """Keep the optimizer's state of the runs at these positions within the group."""
        for parameter, values in self.optimizer.state.items():
            for key, value in values.items():
                if self.stacked(value, parameter):
                    values[key] = value[positions]


class Optimizers:
    """The optimizers and schedules of K runs.

    Args:
        parameters: the stack's, [K, ...] each if `lifted`.
        kinds: of each of them (`regexp.model.kinds`).

    Attributes:
        joins: whether optimizers that differ in their rates alone may make their steps together,
            which rounds otherwise.
    """

    def __init__(
        self,
        steppers: Sequence[Stepper],
        parameters: Sequence[nn.Parameter],
        kinds: Sequence[str],
        lifted: bool,
    ) -> None:
        self.parameters = list(parameters)
        self.groups: list[_Group] = []
        runs: list[int] = []
        for run, stepper in enumerate(steppers):
            runs.append(run)
            if run + 1 == len(steppers) or not stepper.shares(steppers[run + 1]):
                make = partial(
                    _Group, stepper=stepper, parameters=self.parameters, kinds=kinds, lifted=lifted
                )
                group = make(runs, whole=len(runs) == len(steppers))
                if group.axis and group.schedule.uses_metric:  # of each run's own losses
                    self.groups += [make([run], whole=False) for run in runs]
                else:
                    self.groups.append(group)
                runs = []
        self.counts_steps = any(group.schedule.changes_every_step for group in self.groups)
        self.joins = False
        self._fused: FusedAdams | JoinedAdams | None = None

    def step(self) -> None:
        """One step of every run from the gradients of the stack's parameters."""
        gradients = [parameter.grad for parameter in self.parameters]
        if self._fused is None and not any(gradient is None for gradient in gradients):
            self._fused = self._fuse()
        if self._fused and self._fused.step(gradients):
            return
        for group in self.groups:
            if not group.whole:
                for view, whole in zip(group.parameters, self.parameters, strict=True):
                    view.grad = None if whole.grad is None else group.part(whole.grad)
            if not fused_adam_step(group.optimizer):
                group.optimizer.step()
            if not group.whole and type(group.optimizer) not in ELEMENTWISE:
                self._take_back(group)
        self._fused = None

    def _take_back(self, group: _Group) -> None:
        """Put into the stack what an optimizer gave its views in another memory, by `p.data =`."""
        for view, whole in zip(group.parameters, self.parameters, strict=True):
            part = group.part(whole.data)
            if view.data_ptr() != part.data_ptr():
                part.copy_(view.data)
                view.data = part

    def _fuse(self) -> FusedAdams | JoinedAdams | None:
        """What steps all runs of a stack in a faster way, if there is any."""
        of = (
            [group.optimizer for group in self.groups],
            self.parameters,
            [len(group.runs) for group in self.groups],
        )
        joined = JoinedAdams.of(*of) if self.joins and len(self.groups) > 1 else None
        return joined or FusedAdams.of(*of)

    def count_step(self) -> None:
        """Step the schedules that count steps, after a step of every run."""
        for group in self.groups:
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

        def of_run(value: Any, parameter: Tensor) -> Any:
            if group.stacked(value, parameter):
                value = value[position]
            # a tensor, whose memory may be part of a larger one, or lists of them
            return value.clone() if isinstance(value, Tensor) else copy.deepcopy(value)

        state = group.optimizer.state_dict()
        state["state"] = {
            index: {key: of_run(value, group.parameters[index]) for key, value in values.items()}
            for index, values in state["state"].items()
        }
        state["param_groups"] = copy.deepcopy(state["param_groups"])  # tensors are among them
        return state, copy.deepcopy(group.schedule.state_dict())

    def state_dict(self) -> list[dict[str, Any]]:
        """The states of all, as they step the stack's parameters; not copied."""
        return [
            {"optimizer": group.optimizer.state_dict(), "schedule": group.schedule.state_dict()}
            for group in self.groups
        ]

    def load_state_dict(self, states: Sequence[dict[str, Any]]) -> None:
        """Go on from what `state_dict` gave for an equal stack."""
        self._fused = None
        for group, state in zip(self.groups, states, strict=True):
            load_state(group.optimizer, state["optimizer"])
            group.schedule.load_state_dict(state["schedule"])

    def take(self, runs: Sequence[int]) -> None:
        """Keep only the runs at these positions in the stack, in order, and their parameters."""
        self._fused = None
        place = {run: position for position, run in enumerate(runs)}
        for group in self.groups:
            group.keep([position for position, run in enumerate(group.runs) if run in place])
            group.runs = [place[run] for run in group.runs if run in place]
        self.groups = [group for group in self.groups if group.runs]
        for parameter in self.parameters:
            parameter.grad = None
            parameter.data = parameter.data[list(runs)]
        for group in self.groups:
            if not group.whole:
                for view, whole in zip(group.parameters, self.parameters, strict=True):
                    view.data = group.part(whole.data)
