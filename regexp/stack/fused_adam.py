"""The step of torch's fused Adam without what surrounds its kernel, of one optimizer or of many.

`FusedAdams` has the bits of each optimizer's own step; `JoinedAdams` is one call for all of them,
and rounds otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer
from torch.optim import optimizer as torchs

_MOMENTS = ("exp_avg", "exp_avg_sq")
_STATE = {"step", *_MOMENTS}


def adam_kernel(
    group: Mapping[str, Any],
    parameters: list[Tensor],
    gradients: list[Tensor],
    averages: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
) -> None:
    """torch's kernel of Adam, or of AdamW, on tensors that lie alike, without AMSGrad.

    Args:
        group: the numbers of the optimizer's parameter group.
        steps: how many steps were made with this one, a tensor a parameter.
    """
    beta1, beta2 = group["betas"]
    kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    kernel(
        parameters, gradients, averages, squares, [], steps,
        lr=group["lr"], beta1=beta1, beta2=beta2, weight_decay=group["weight_decay"],
        eps=group["eps"], amsgrad=False, maximize=group["maximize"],
    )  # fmt: skip


def adam_of_rates(
    group: Mapping[str, Any],
    parameters: Sequence[Tensor],
    gradients: list[Tensor],
    averages: list[Tensor],
    squares: list[Tensor],
    steps: list[Tensor],
    deltas: list[Tensor],
    rates: Sequence[Tensor],
) -> None:
    """`adam_kernel` where elements have rates of their own: a step of rate 1 from 0, scaled.

    Args:
        group: the numbers but for the rate; there is no weight decay.
        deltas: memory in the shape of the parameters.
        rates: broadcast against the parameters.
    """
    torch._foreach_zero_(deltas)
    adam_kernel({**group, "lr": 1.0}, deltas, gradients, averages, squares, steps)
    for parameter, delta, rate in zip(parameters, deltas, rates, strict=True):
        parameter.addcmul_(delta, rate)


def fused_adam_step(optimizer: Optimizer) -> bool:
    """Do what `optimizer.step()` would, to the bit, in a quarter of the time for a small network.

    Looks for hooks, grouping by device and profiling take most of the time of torch's own method.

    Returns:
        Whether the step was made: not where the optimizer is another than a fused `Adam` or `AdamW`
        on one CPU, in its first step, or where anything asks for more than the plain step.
    """
    if not _is_fused(optimizer):
        return False
    [group] = optimizer.param_groups
    parameters, state = group["params"], optimizer.state
    gradients: list[Tensor] = [p.grad for p in parameters]
    if any(gradient is None for gradient in gradients):
        return False
    moments = [state[parameter] for parameter in parameters]
    steps = [moment["step"] for moment in moments]
    with torch.no_grad():
        torch._foreach_add_(steps, 1)
        averages, squares = ([moment[key] for moment in moments] for key in _MOMENTS)
        adam_kernel(group, parameters, gradients, averages, squares, steps)
    return True


def _is_fused(optimizer: Optimizer) -> bool:
    """Whether it is a fused `Adam` or `AdamW` on one CPU after its first step, and nothing more."""
    if type(optimizer) not in (Adam, AdamW) or not is_plain(optimizer):
        return False
    [group] = optimizer.param_groups
    parameters, state = group["params"], optimizer.state
    first = parameters[0]
    return (
        bool(group["fused"])
        and len(state) == len(parameters)
        and state[first].keys() == _STATE
        and all(p.dtype == first.dtype and p.is_cpu for p in parameters)
    )


class _Known:
    """Where parameters lie and what optimizers keep of theirs, to tell whether it is still so.

    A forward may give a parameter other memory (`p.data = ...`), and a scheduler may put other
    moments into a state, or empty it.

    Args:
        optimizers: after their first step.
        parameters: of the stack.

    Attributes:
        optimizers: those.
    """

    def __init__(self, optimizers: Sequence[Optimizer], parameters: Sequence[Tensor]) -> None:
        self._places = [(parameter, parameter.data_ptr()) for parameter in parameters]
        self._states = [
            (one, parameter, key, one.state[parameter][key])
            for one in optimizers
            for parameter in one.param_groups[0]["params"]
            for key in _STATE
        ]
        self.optimizers = list(optimizers)

    def holds(self) -> bool:
        """Whether all is where it was, and the steps are plain ones as before."""
        return (
            all(parameter.data_ptr() == place for parameter, place in self._places)
            and all(
                one.state.get(parameter, {}).get(key) is value
                for one, parameter, key, value in self._states
            )
            and all(map(is_plain, self.optimizers))
        )


class FusedAdams:
    """The steps of optimizers that have neighbouring runs of stacked parameters.

    What is the same in every step is looked up once, which takes longer than the kernels do for
    small networks. The numbers are those of `fused_adam_step`, to the bit. The counts of steps are
    views of one tensor from then on.

    Args:
        optimizers: fused ones, after their first step.
        parameters: [K, ...] each; without that axis, those of the only optimizer.
        runs: how many of the K each optimizer has, in order.
    """

    def __init__(
        self, optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], runs: Sequence[int]
    ) -> None:
        self._runs = list(runs)
        self._each: list[tuple[Optimizer, list[list[Tensor]]]] = []
        states_of = [[one.state[p] for p in one.param_groups[0]["params"]] for one in optimizers]
        self._steps = torch.stack([state["step"] for states in states_of for state in states])
        counts = iter(self._steps.unbind())
        parts = self._parts([parameter.detach() for parameter in parameters])
        for optimizer, part, states in zip(optimizers, parts, states_of, strict=True):
            averages, squares = (
                [state[key].view_as(p) for state, p in zip(states, part, strict=True)]
                for key in _MOMENTS
            )
            for state in states:
                state["step"] = next(counts)
            steps = [state["step"] for state in states]
            self._each.append((optimizer, [part, averages, squares, steps]))
        self._known = _Known(optimizers, parameters)

    @classmethod
    def of(
        cls, optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], runs: Sequence[int]
    ) -> FusedAdams | None:
        """Those of some optimizers; None if one is none that `fused_adam_step` makes a step of."""
        if not all(map(_is_fused, optimizers)):
            return None
        return cls(optimizers, parameters, runs)

    def _parts(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """The part that each optimizer has of tensors [K, ...]."""
        if len(self._runs) == 1:
            return [list(tensors)]
        return [*map(list, zip(*(one.split(self._runs) for one in tensors), strict=True))]

    def step(self, gradients: Sequence[Tensor | None]) -> bool:
        """Step all of them by gradients [K, ...].

        Returns:
            Whether that was done: not where one has another state by now, or there is no gradient.
        """
        given = [gradient for gradient in gradients if gradient is not None]
        if len(given) < len(gradients) or not self._known.holds():
            return False
        with torch.no_grad():
            self._steps.add_(1)
            parts = zip(self._each, self._parts(given), strict=True)
            for (optimizer, (parameters, *states)), part in parts:
                adam_kernel(optimizer.param_groups[0], parameters, part, *states)
        return True


class JoinedAdams:
    """The steps of optimizers that differ in their rates alone, by one call of the kernel.

    The moments and counts of steps are views of tensors of all runs from then on.

    Args:
        optimizers: fused ones, after the same number of steps, without weight decay.
        parameters: [K, ...] each.
        runs: how many of the K each optimizer has, in order.
    """

    def __init__(
        self, optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], runs: Sequence[int]
    ) -> None:
        self._runs = list(runs)
        self._parameters = [parameter.detach() for parameter in parameters]
        self._deltas = [torch.empty_like(parameter) for parameter in self._parameters]
        self._rates: list[float] = []  # of the optimizers, and as tensors [K, 1, ...]
        self._of_parameters: list[Tensor] = []
        states_of = [[one.state[p] for p in one.param_groups[0]["params"]] for one in optimizers]
        states = [state for each in states_of for state in each]
        self._count = torch.stack([state["step"] for state in states])
        for state, count in zip(states, self._count.unbind(), strict=True):
            state["step"] = count
        self._moments = [
            [
                self._joined(key, parameter, of_parameter)
                for parameter, of_parameter in zip(
                    self._parameters, zip(*states_of, strict=True), strict=True
                )
            ]
            for key in _MOMENTS
        ]
        self._known = _Known(optimizers, parameters)

    @classmethod
    def of(
        cls, optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], runs: Sequence[int]
    ) -> JoinedAdams | None:
        """Those of some optimizers; None if they differ in more than their rates."""
        if not all(map(_is_fused, optimizers)) or not differ_in_rates(optimizers):
            return None
        counts = {float(state["step"]) for one in optimizers for state in one.state.values()}
        return cls(optimizers, parameters, runs) if len(counts) == 1 else None

    def _joined(self, key: str, parameter: Tensor, states: Sequence[dict[str, Any]]) -> Tensor:
        """The moments of a parameter, [K, ...], whose parts are from now on those of the states."""
        whole = torch.cat([state[key].reshape(-1) for state in states]).view_as(parameter)
        for state, own in zip(states, whole.split(self._runs), strict=True):
            state[key] = own.view_as(state[key])
        return whole

    def step(self, gradients: Sequence[Tensor | None]) -> bool:
        """Step all of them by gradients [K, ...]; whether that was done, as of `FusedAdams`."""
        given = [gradient for gradient in gradients if gradient is not None]
        groups = [optimizer.param_groups[0] for optimizer in self._known.optimizers]
        if len(given) < len(gradients) or not (self._known.holds() and alike_but_rates(groups)):
            return False
        rates = [group["lr"] for group in groups]
        if rates != self._rates:
            self._rates = rates
            each = torch.tensor(rates, dtype=self._parameters[0].dtype)
            each = each.repeat_interleave(torch.tensor(self._runs))
            self._of_parameters = [
                each.view(-1, *(1 for _ in p.shape[1:])) for p in self._parameters
            ]
        with torch.no_grad():
            self._count.add_(1)
            steps = [self._count[0]] * len(given)
            averages, squares = self._moments
            adam_of_rates(
                groups[0], self._parameters, given, averages, squares, steps,
                self._deltas, self._of_parameters,
            )  # fmt: skip
        return True


def differ_in_rates(optimizers: Sequence[Optimizer]) -> bool:
    """Whether these are Adams of one parameter group each, which differ in their rates alone.

    And go on to: torch's schedules that move betas step by step leave `base_momentum` in the group.
    """
    if not all(type(optimizer) in (Adam, AdamW) for optimizer in optimizers):
        return False
    groups = [optimizer.param_groups[0] for optimizer in optimizers]
    return not any("base_momentum" in group for group in groups) and alike_but_rates(groups)


def alike_but_rates(groups: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the numbers of Adams are those that one call of the kernel has for all, at a step."""
    numbers = {(*group["betas"], group["eps"], group["maximize"]) for group in groups}
    return len(numbers) == 1 and not any(group["weight_decay"] for group in groups)


def is_plain(optimizer: Optimizer) -> bool:
    """Whether a step of Adam, AdamW or SGD is that of one group's numbers, and nothing beside."""
    group, *others = optimizer.param_groups
    hooks = (
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
        torchs._global_optimizer_pre_hooks,
        torchs._global_optimizer_post_hooks,
    )
    numbers = (group["lr"], *group.get("betas", ()))
    own = vars(optimizer).get("step")  # of this object alone: torch's schedulers count by one
    return not (
        others
        or (own is not None and getattr(own, "__wrapped__", None) is not type(optimizer).step)
        or any(hooks)
        or any(group.get(flag) for flag in ("amsgrad", "capturable", "differentiable"))
        or any(isinstance(number, Tensor) for number in numbers)
        or getattr(optimizer, "grad_scale", None) is not None
        or getattr(optimizer, "found_inf", None) is not None
    )
