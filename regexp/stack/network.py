"""A network as techniques call it: on other inputs, with other tensors or other noise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.model.layers import Noise
from regexp.random import Rng
from regexp.regularizer.base import Tensors


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
        before = {
            name: {
                "training": layer.training,
                **{key: getattr(layer, key) for key in layer.numbers},
            }
            for name, layer in layers.items()
        }
        try:
            for name, layer in layers.items():
                vars(layer).update(self.numbers.get(name, {}))
                if rng is not None and not layer.shared:
                    tensors[f"{name}.noise"] = layer.draw(layer.of(rng, name), len(inputs))
                    layer.training = True  # in evaluation too
            return self._call(tensors, inputs)
        finally:
            for name, layer in layers.items():
                vars(layer).update(before[name])

    def _call(self, tensors: Tensors, inputs: Tensor) -> Tensor:
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=self.half):
            outputs = torch.func.functional_call(self.module, tensors, (inputs,))
        return outputs.to(inputs.dtype)


pytree.register_dataclass(Network)  # so that `vmap` sees its tensors
