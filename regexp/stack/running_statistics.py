"""Running statistics of batch normalization for weights that they were not gathered with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from regexp.model.functional import call_with
from regexp.model.modes import modes_kept
from regexp.regularizer.base import Tensors
from regexp.stack.vmapped import Vmapped


def with_own_statistics(
    model: nn.Module,
    averaged: Tensors,
    state: Tensors,
    batches: Callable[[], Iterable[Tensor]],
    lifted: bool,
) -> Tensors:
    """`averaged` with the running statistics of its weights, for runs where they differ.

    Args:
        model: of one run, or `lifted` over a run axis; see `reestimate`.
        averaged: the parameters and floating buffers that are evaluated, [runs, ...] each.
        state: those that training stands at, whose running statistics are its own.
        batches: gives what to estimate from, if any run needs it; of none, nothing changes.
        lifted: whether there is a run axis.
    """
    differ = torch.stack([_differ(averaged[name], state[name], lifted) for name in state]).any(0)
    if not differ.any():
        return averaged
    return where(differ, reestimate(model, averaged, batches(), int(lifted)), averaged)


def reestimate(
    model: nn.Module, state: Tensors, batches: Iterable[Tensor], axis: int = 0
) -> Tensors:
    """`state` with the running statistics that its weights have on `batches`.

    They are the means over the batches of each batch's statistics, weighted by rows, so that a
    small last batch counts for no more than its rows. The batches should be drawn as those of
    training are: a part of rows that lie together (of a sorted table, of a series with a drift)
    has another variance, and layers behind it see what they never saw in training. Noise is off.
    Layers that a network keeps in evaluation mode while it trains keep their statistics.

    Args:
        model: of one run or lifted; left as it is.
        state: its parameters and floating buffers.
        batches: inputs, [rows, *features] or [runs, rows, *features] each.
        axis: of the rows in them: 0, or 1 with a run axis.

    Warns:
        UserWarning: if there are no batches, and statistics that would need them.
    """
    with modes_kept(model):
        if not model.training:  # or a lifted one would forget what a network's own train() keeps
            model.train()
        moving = [module for module in model.modules() if module.training]
    norms = [
        module
        for module in [*moving, *_within_vmap(moving)]
        if hasattr(module, "running_mean") and hasattr(module, "momentum")  # ghost ones too
    ]
    if not norms:
        return state
    fresh = {name: value.clone() for name, value in state.items()}
    counts = {name: value.clone() for name, value in model.named_buffers() if name not in state}
    momenta = [module.momentum for module in norms]
    seen = 0
    with modes_kept(model):
        model.eval()
        for module in [*norms, *_calling(moving, norms)]:
            module.training = True
        for inputs in batches:
            rows = inputs.shape[axis]
            seen += rows
            for module in norms:
                module.momentum = rows / seen  # type: ignore[assignment] # the mean of all rows
            call_with(model, {**counts, **fresh}, inputs)
    if not seen:
        warnings.warn(
            "averaged weights are evaluated with the running statistics of those in training, for "
            "want of batches to estimate their own from: give end_epoch and finish some (batches=)",
            stacklevel=2,
        )
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
    return fresh


def where(chosen: Tensor, values: Tensors, others: Tensors) -> Tensors:
    """`values` for the chosen runs and `others` for the rest, copied. `chosen`: [runs]."""

    def select(value: Tensor, other: Tensor) -> Tensor:
        axes = (1,) * (value.ndim - chosen.ndim)
        return torch.where(chosen.view(chosen.shape + axes), value, other)

    return {name: select(value, others[name]) for name, value in values.items()}


def _differ(values: Tensor, others: Tensor, lifted: bool) -> Tensor:
    """Whether any element differs, [runs]; numbers have no other axis."""
    differ = values != others
    return differ.reshape(len(differ), -1).any(1) if lifted else differ.any()


def _calling(moving: Sequence[nn.Module], norms: Sequence[nn.Module]) -> list[nn.Module]:
    """The `Vmapped` modules of normalization layers themselves, whose mode these take."""
    lifted = [module for module in moving if isinstance(module, Vmapped)]
    return [module for module in lifted if module.single["module"] in norms]


def _within_vmap(moving: Sequence[nn.Module]) -> list[nn.Module]:
    """The modules that `Vmapped` ones call, which are no submodules of theirs."""
    lifted, known = [m for m in moving if isinstance(m, Vmapped)], set(map(id, moving))
    return [
        module.single["module"].get_submodule(name)
        for module in lifted
        for name, own in module.named_modules()
        if id(own) in known
    ]
