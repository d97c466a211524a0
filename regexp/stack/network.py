"""A network as techniques call it: on other inputs, with other tensors or other noise."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.model.draws import Draws
from regexp.model.functional import call_with
from regexp.model.layers import Noise
from regexp.model.modes import without_fast_path
from regexp.model.repeated import Repeated
from regexp.random import Rng
from regexp.regularizer.base import Tensors
from regexp.stack.padding import padded_embeddings
from regexp.stack.vmapped import Stacked, attributes

_AGAIN = (
    "a technique calls the network with other weights or noise, and its forward computes parts "
    "again (torch.utils.checkpoint) or keeps tensors by hooks, which would take its own; leave "
    "that out, or the technique"
)


@dataclass(frozen=True)
class Network:
    """Calls a network on other inputs or with other tensors, and leaves its buffers alone.

    Attributes:
        module: of one run.
        parameters: its parameters, or all of its state that is not in `buffers`.
        buffers: its other tensors.
        numbers: of its `Noise` layers by module, where they differ from run to run.
        half: whether it computes in bfloat16; outputs have the type of its parameters.
        draws: what it draws itself, if anything.
        stream: what it draws from in training mode.
        turns: whether it is the turn of the techniques that take turns, by the streams of their
            noise.
    """

    module: nn.Module
    parameters: Tensors
    buffers: Tensors
    numbers: dict[str, Tensors]
    half: bool = False
    draws: Draws | None = None
    stream: Rng | None = None
    turns: Tensors = field(default_factory=dict)

    def __call__(
        self, inputs: Tensor, parameters: Tensors | None = None, rng: Rng | None = None
    ) -> Tensor:
        """Outputs of rows [rows, *features].

        Args:
            parameters: others than its own.
            rng: of new noise, also in evaluation mode, where there is none without it.
        """
        buffers = {name: buffer.detach().clone() for name, buffer in self.buffers.items()}
        tensors = {**buffers, **(parameters or self.parameters)}
        if rng is None and not self.numbers:
            return self._call(tensors, inputs, None)
        layers = {n: m for n, m in self.module.named_modules() if isinstance(m, Noise)}
        changes: dict[str, dict[str, Any]] = {n: {**self.numbers.get(n, {})} for n in layers}
        streams = (
            {} if rng is None else {n: m.of(rng, n) for n, m in layers.items() if not m.shared}
        )
        for name in streams:
            changes[name]["training"] = True  # in evaluation too
        if rng is not None and self.draws is not None:
            changes |= {name: {"training": True} for name in self.draws.names}
        with attributes(self.module, changes):
            for name, stream in streams.items():
                layer = layers[name]
                noise = layer.draw_calls(partial(layer.draw, rows=len(inputs)), stream)
                turn = self.turns.get(layer.stream)
                tensors |= {f"{name}.{buffer}": in_turn(layer, turn, value)
                            for buffer, value in noise.items()}  # fmt: skip
            return self._call(tensors, inputs, rng)

    def _call(self, tensors: Tensors, inputs: Tensor, rng: Rng | None) -> Tensor:
        half = torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.half)
        # what is computed again in the backward pass would be so with the module's own tensors
        once = torch.autograd.graph.disable_saved_tensors_hooks(_AGAIN)
        with half, once, self._served(rng), without_fast_path(), padded_embeddings(self.module):
            outputs = call_with(self.module, tensors, inputs)
        # not that of the inputs, which may be numbers of words
        return outputs.to(next(iter(self.parameters.values())).dtype)

    @contextlib.contextmanager
    def _served(self, rng: Rng | None) -> Iterator[None]:
        """The draws of a pass: from `rng`, or in training mode from the step's stream."""
        if rng is None and self.module.training:
            rng = self.stream
        if self.draws is None or rng is None:
            yield
            return
        with self.draws.served(rng):
            yield


def in_turn(layer: Noise, turn: Tensor | None, noise: Tensor) -> Tensor:
    """The noise of a layer, or none where it is not its turn, [runs] or of one run."""
    if turn is None:
        return noise
    turn = turn.reshape(*turn.shape, *(1 for _ in noise.shape[turn.ndim :]))
    return torch.where(turn, noise, layer.idle(noise))


pytree.register_dataclass(Network)  # so that `vmap` sees its tensors


def draws_of(names: Collection[str], *networks: nn.Module) -> Draws | None:
    """What a network draws, of one run and lifted, in its passes; None if there is nothing.

    Args:
        names: of its modules that draw.
    """
    modules = [item for network in networks for item in network.named_modules()]
    unique = {id(module): (name, module) for name, module in modules if name in names}
    # those of `Stacked` only call what they were made of, or do not draw
    drawing = [(n, m) for n, m in unique.values() if not isinstance(m, Stacked)]
    repeated = Repeated(networks, (Stacked,))
    return Draws(drawing, repeated) if drawing or repeated else None
