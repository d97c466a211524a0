"""Running statistics of batch normalization for weights that they were not gathered with."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Tensors
from regexp.stack.vmapped import Vmapped


def reestimate(model: nn.Module, state: Tensors, batches: Iterable[Tensor]) -> Tensors:
    """`state` with the running statistics that its weights have on `batches`.

    They are the means over the batches of each batch's statistics, as in
    `torch.optim.swa_utils.update_bn`, but with dropout off.

    Args:
        model: of one run or lifted; left as it is, in training mode.
        state: its parameters and floating buffers.
        batches: inputs, [rows, *features] or [runs, rows, *features] each.
    """
    norms = [
        module
        for module in [*model.modules(), *_within_vmap(model)]
        if hasattr(module, "running_mean") and hasattr(module, "momentum")  # ghost ones too
    ]
    if not norms:
        return state
    fresh = {name: value.clone() for name, value in state.items()}
    counts = {name: value.clone() for name, value in model.named_buffers() if name not in state}
    momenta = [module.momentum for module in norms]
    model.eval()
    for module in norms:
        module.train()
    for index, inputs in enumerate(batches):
        for module in norms:
            module.momentum = 1 / (index + 1)  # type: ignore[assignment] # a running mean, as momentum=None would give
        torch.func.functional_call(model, {**counts, **fresh}, (inputs,))
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    model.train()
    return fresh


def _within_vmap(model: nn.Module) -> list[nn.Module]:
    """The modules that `Vmapped` ones call, which are no submodules of theirs."""
    lifted = [module for module in model.modules() if isinstance(module, Vmapped)]
    return [inner for module in lifted for inner in module.single["module"].modules()]
