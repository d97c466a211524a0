"""Calling a network with other tensors than its own, and what is called beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def call_with(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    *inputs: Any,
    moved: dict[str, Tensor] | None = None,
) -> Any:
    """What `module` gives with other tensors as its parameters and buffers.

    Unlike `torch.func.functional_call` (of torch 2.13) it is for networks in which a module stands
    in several places: torch replaces the tensors of that module once a place, and in the end puts
    those of the call back instead of its own, which no optimizer reaches from then on.

    Args:
        tensors: by name; what stands in several places is replaced in all of them by that of one.
        moved: gets what the module put in the place of buffers, by name, as `self.mean = ...` does.
    """
    own = {
        f"{path}.{name}" if path else name: tensor
        for path, inner in module.named_modules()  # each once
        for held in (inner._parameters, inner._buffers)
        for name, tensor in held.items()
        if tensor is not None
    }
    values = {id(own[name]): value for name, value in tensors.items() if name in own}
    replaced = {name: values[id(held)] for name, held in own.items() if id(held) in values}
    given = dict(replaced)
    outputs = torch.func.functional_call(module, replaced, inputs, tie_weights=False)
    if moved is not None:  # torch notes it in the mapping that it was given
        moved |= {name: value for name, value in replaced.items() if value is not given[name]}
    return outputs


def hooks_of(module: nn.Module) -> list[Callable[..., Any]]:
    """What is called beside the forward and backward pass of a module itself."""
    kinds = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return [hook for hooks in kinds for hook in hooks.values()]


def is_hooked(parameter: Tensor) -> bool:
    """Whether something is called with the gradient of a parameter."""
    hooks = parameter._backward_hooks, getattr(parameter, "_post_accumulate_grad_hooks", None)
    return any(hooks)
