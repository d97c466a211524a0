"""Whether the runs of a stack are chains that `Program` can train, and of what layers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from regexp.model.functional import hooks_of
from regexp.model.layers import DropoutLayer
from regexp.stack.lift import chain
from regexp.stack.stack import Stack
from regexp.training.chain.activations import activation_of
from regexp.training.chain.losses import LOSSES
from regexp.training.chain.updates import update_of
from regexp.training.replay import is_unwatched

IN_THE_STEP = ("batch", "penalty", "gradient", "constrain", "track", "keep")
"""Hooks of techniques that are called within a step."""


class Link(NamedTuple):
    """One layer of a chain.

    Attributes:
        name: of the module.
        module: of one run.
        p: what is dropped, if it is a `DropoutLayer`: a float, or [runs].
    """

    name: str
    module: nn.Module
    p: Tensor | float = 0.0

    def key(self, tensor: str) -> str:
        """The name in the network of a tensor of the module."""
        return f"{self.name}.{tensor}" if self.name else tensor


def links_of(stack: Stack) -> list[Link] | None:
    """The layers of the stack's networks, but for those that do nothing.

    Returns:
        None if a step has to do something else than what `Program` does.
    """
    if not _plain(stack):
        return None
    names = {id(module): name for name, module in stack.single.named_modules()}
    links = [Link(names[id(module)], module) for module in chain(stack.single)]
    if any(_hooked(module) for module in (*stack.single.modules(), *stack.model.modules())):
        return None
    if not all(_known(link.module) and link.module.training for link in links) or not links:
        return None
    held = [link.key(name) for link in links for name, _ in link.module.named_parameters()]
    if sorted(held) != sorted(stack.parameters):  # one that is held twice, say
        return None
    links = [_with_number(stack, link) for link in links]
    flat = len(stack.rows.row_shape) == 1 or _flattened_first(links)
    links = [link for link in links if not _idle(link)]
    return links if flat and type(links[-1].module) is nn.Linear else None


def _flattened_first(links: list[Link]) -> bool:
    """Whether rows of several dimensions are flattened before a layer that knows units."""
    kinds = [type(link.module) for link in links]
    before = kinds[: kinds.index(nn.Flatten)] if nn.Flatten in kinds else [nn.Linear]
    return all(kind in (DropoutLayer, nn.Identity) for kind in before)


def _plain(stack: Stack) -> bool:
    """Whether nothing but the network, its plain loss and its optimizer has a part in a step."""
    regularizer = stack.regularizer
    return (
        is_unwatched(stack)
        and stack.dtype in (torch.float32, torch.float64)
        and not stack.autocast
        and stack.task in LOSSES
        and not any(regularizer.uses(hook) for hook in IN_THE_STEP)
        and not regularizer.flag("uses_hidden")
        and all(parameter.requires_grad for parameter in stack.parameters.values())
        and all(
            group.schedule.goes_by_count and update_of(group.optimizer)
            for group in stack.optimizers.groups
        )
        and min((size for size, _ in stack.plan), default=1) > 1
    )


def _hooked(module: nn.Module) -> bool:
    """Whether calling a module does more than its class's `forward`."""
    own = "forward" in vars(module) or module._compiled_call_impl is not None
    return own or bool(hooks_of(module))


def _known(module: nn.Module) -> bool:
    """Whether it is a layer that `Pass` has, or none that does anything."""
    if type(module) not in (nn.BatchNorm1d, nn.Flatten, DropoutLayer, nn.Linear, nn.Identity):
        return activation_of(module) is not None
    if isinstance(module, nn.BatchNorm1d):
        return module.affine and module.track_running_stats and module.momentum is not None
    if isinstance(module, nn.Flatten):
        return module.start_dim == 1 and module.end_dim == -1
    if isinstance(module, DropoutLayer):
        return not module.whole and not module.further and not module.schedules
    return True


def _with_number(stack: Stack, link: Link) -> Link:
    if not isinstance(link.module, DropoutLayer):
        return link
    layer = stack.model.get_submodule(link.name)
    assert isinstance(layer, DropoutLayer)
    return link._replace(p=layer.p)


def _idle(link: Link) -> bool:
    """Whether a layer gives what it takes, row by row."""
    if isinstance(link.module, DropoutLayer):
        return not isinstance(link.p, Tensor) and link.p == 0
    return isinstance(link.module, nn.Flatten | nn.Identity)
