"""The optimizer of a loop of one's own: what it holds, of what it was given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

import torch
from torch import nn

from regexp.optimizer import needs_closure
from regexp.stack.optimizers import make_optimizer

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


def own_optimizer(
    make: Make, model: nn.Module, kinds: Sequence[str], before: Collection[nn.Parameter]
) -> torch.optim.Optimizer:
    """The optimizer that a user makes, checked.

    Args:
        make: the user's.
        model: with the layers of its techniques.
        kinds: of its parameters.
        before: the parameters that it had without them.

    Raises:
        ValueError: its step needs a closure; it holds parameters that are not the model's, or not
            all that techniques gave the model.
    """
    optimizer = make_optimizer(make, list(model.parameters()), kinds)
    if needs_closure(optimizer):
        raise ValueError(
            f"optimizer: the step of {type(optimizer).__name__} needs a closure; only "
            "first-order optimizers, whose step needs none, are supported"
        )
    own = {id(parameter) for parameter in model.parameters()}
    known, there = {id(parameter) for parameter in before}, held(optimizer)
    added = [name for name, parameter in model.named_parameters()
             if parameter.requires_grad and id(parameter) not in known | there]  # fmt: skip
    if there - own or added:
        wrong = (
            f"lacks {added[0]}, which a technique gave the model"
            if added
            else "holds parameters that the model has not, such as those that a technique replaced"
        )
        raise ValueError(
            f"optimizer: it {wrong}; make it of the parameters that it is given, as by "
            "lambda parameters: torch.optim.Adam(parameters)"
        )
    return optimizer


def held(optimizer: torch.optim.Optimizer) -> set[int]:
    """The ids of the parameters that an optimizer steps."""
    return {id(one) for group in optimizer.param_groups for one in group["params"]}
