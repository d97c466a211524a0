"""A network as techniques call it: on other inputs, with other tensors or other noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.model.layers import Noise
from regexp.random import Rng
from regexp.regularizer.base import Tensors
from regexp.stack.vmapped import attributes


@dataclass(frozen=True)
class Network:
    """Calls a network on other inputs or with other tensors, and leaves its buffers alone.

    Attributes:
        module: of one run.
        parameters: its parameters, or all of its state that is not in `buffers`.
        buffers: its other tensors.
        numbers: of its `Noise` layers by module, where they differ from run to run.
        half: whether it computes in bfloat16; outputs have the type of its parameters.
    """

    module: nn.Module
    parameters: Tensors
    buffers: Tensors
    numbers: dict[str, Tensors]
    half: bool = False

    def __call__(
        self, inputs: Tensor, parameters: Tensors | None = None, rng: Rng | None = None
    ) -> Tensor:
        buffers = {name: buffer.detach().clone() for name, buffer in self.buffers.items()}
        tensors = {**buffers, **(parameters or self.parameters)}
        if rng is None and not self.numbers:
            return self._call(tensors, inputs)
        layers = {n: m for n, m in self.module.named_modules() if isinstance(m, Noise)}
        changes: dict[str, dict[str, Any]] = {n: {**self.numbers.get(n, {})} for n in layers}
        streams = (
            {} if rng is None else {n: m.of(rng, n) for n, m in layers.items() if not m.shared}
        )
        for name in streams:
            changes[name]["training"] = True  # in evaluation too
        with attributes(self.module, changes):
            for name, stream in streams.items():
                tensors[f"{name}.noise"] = layers[name].draw(stream, len(inputs))
            return self._call(tensors, inputs)

    def _call(self, tensors: Tensors, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.half):
            outputs = torch.func.functional_call(self.module, tensors, (inputs,))
        return outputs.to(inputs.dtype)


pytree.register_dataclass(Network)  # so that `vmap` sees its tensors
