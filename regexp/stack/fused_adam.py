"""The step of torch's fused Adam without what surrounds its kernel, of one optimizer or of many."""

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


class FusedAdams:
    """The steps of optimizers that have neighbouring runs of stacked parameters.

    What is the same in every step is looked up once, which takes longer than the kernels do for
    small networks. The numbers are those of `fused_adam_step`, to the bit. The counts of steps are
    views of one tensor from then on.

    Args:
        optimizers: fused ones, after their first step.
        parameters: [K, ...] each.
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
        parts = zip(*(p.detach().split(self._runs) for p in parameters), strict=True)
        for optimizer, part, states in zip(optimizers, parts, states_of, strict=True):
            averages, squares = (
                [state[key].view_as(p) for state, p in zip(states, part, strict=True)]
                for key in _MOMENTS
            )
            for state in states:
                state["step"] = next(counts)
            steps = [state["step"] for state in states]
            self._each.append((optimizer, [list(part), averages, squares, steps]))

    @classmethod
    def of(
        cls, optimizers: Sequence[Optimizer], parameters: Sequence[Tensor], runs: Sequence[int]
    ) -> FusedAdams | None:
        """Those of some optimizers; None if one is none that `fused_adam_step` makes a step of."""
        if not all(map(_is_fused, optimizers)):
            return None
        return cls(optimizers, parameters, runs)

    def step(self, gradients: Sequence[Tensor | None]) -> bool:
        """Step all of them by gradients [K, ...].

        Returns:
            Whether that was done: not where one has another state by now, or there is no gradient.
        """
        if any(gradient is None for gradient in gradients):
            return False
        for optimizer, (*_, steps) in self._each:
            if optimizer.state[optimizer.param_groups[0]["params"][0]]["step"] is not steps[0]:
                return False
        parts = zip(*(g.split(self._runs) for g in gradients if g is not None), strict=True)
        with torch.no_grad():
            self._steps.add_(1)
            for (optimizer, (parameters, *states)), part in zip(self._each, parts, strict=True):
                adam_kernel(optimizer.param_groups[0], parameters, list(part), *states)
        return True


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
    return not (
        others
        or any(hooks)
        or any(group.get(flag) for flag in ("amsgrad", "capturable", "differentiable"))
        or any(isinstance(number, Tensor) for number in numbers)
        or getattr(optimizer, "grad_scale", None) is not None
        or getattr(optimizer, "found_inf", None) is not None
    )
