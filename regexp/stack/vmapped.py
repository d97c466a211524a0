"""Modules for K runs through `torch.vmap` of their functional form, whatever they compute."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from regexp.model.layers import Noise
from regexp.random import Rng


def stack_tensors(tensors: Sequence[Tensor]) -> Tensor:
    """K tensors as one [K, ...], a copy without history."""
    return torch.stack([tensor.detach() for tensor in tensors])


class Vmapped(nn.Module):
    """Any module for K runs, through `torch.vmap` of its functional form."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.single: dict[str, nn.Module] = {"module": modules[0]}
        holder = copy.deepcopy(modules[0])
        for name, module in holder.named_modules():
            own = [other.get_submodule(name) for other in modules]
            for key, parameter in list(module.named_parameters(recurse=False)):
                values = stack_tensors([other.get_parameter(key) for other in own])
                setattr(module, key, nn.Parameter(values, parameter.requires_grad))
            for key, _ in list(module.named_buffers(recurse=False)):
                module._buffers[key] = stack_tensors([other.get_buffer(key) for other in own])
            if isinstance(module, Noise):
                stack_numbers(module, own)
        self._parameters.update(holder._parameters)
        self._buffers.update(holder._buffers)
        self._non_persistent_buffers_set |= holder._non_persistent_buffers_set
        self._modules.update(holder._modules)

    def forward(self, *inputs: Tensor) -> Tensor:
        single = self.single["module"]
        single.train(self.training)
        for name, module in self.named_modules():
            if name:
                single.get_submodule(name).training = module.training
        tensors = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        numbers = {n: varying(m) for n, m in self.named_modules() if isinstance(m, Noise)}
        before = {name: dict(vars(single.get_submodule(name))) for name in numbers}

        def one(own: dict[str, Tensor], values: dict[str, Any], *row: Tensor) -> Tensor:
            for name, each in values.items():
                vars(single.get_submodule(name)).update(each)
            return torch.func.functional_call(single, own, row)

        try:
            return torch.vmap(one)(tensors, numbers, *inputs)
        finally:
            for name, each in numbers.items():
                vars(single.get_submodule(name)).update({key: before[name][key] for key in each})


def plain(module: nn.Module) -> nn.Module:
    """A module of `torch.nn.utils.parametrize` without the weights that it computes."""
    kind: Any = type(module).__base__  # torch put a class of its own on top
    copied: nn.Module = kind.__new__(kind)
    vars(copied).update(vars(module))
    copied._modules = {n: m for n, m in module._modules.items() if n != "parametrizations"}
    return copied


def computed(lifted: nn.Module, modules: Sequence[nn.Module]) -> nn.Module:
    """Give `lifted`, made of the `plain` modules, the weights that `modules` compute.

    `vmap` computes the weights alone: under `vmap` as a whole, a layer would be slower and round
    differently from one that is not parametrized.
    """
    lists = [dict(module.parametrizations.items()) for module in modules]  # type: ignore[operator, union-attr]
    weights = {name: Vmapped([each[name] for each in lists]) for name in lists[0]}
    lifted._modules["parametrizations"] = nn.ModuleDict(weights)
    reads = {name: property(partial(_compute, name)) for name in weights}
    lifted.__class__ = type(type(lifted).__name__, (type(lifted),), reads)
    return lifted


def _compute(name: str, layer: Any) -> Tensor:
    return layer.parametrizations[name]()


class VmappedNoise(Noise):
    """A `Noise` whose forward does not broadcast over leading axes, for K runs."""

    elementwise = False

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        single = modules[0]
        assert isinstance(single, Noise)
        self.single = {"module": single}
        self.numbers = single.numbers  # type: ignore[misc]
        self.shape, self.stream, self.key = single.shape, single.stream, single.key
        stack_numbers(self, modules)

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return self._one({key: getattr(self, key) for key in self.numbers}).draw(rng, rows)

    def forward(self, x: Tensor) -> Tensor:
        shared = {key: getattr(self, key) for key in self.numbers}

        def one(row: Tensor, noise: Tensor, own: dict[str, Tensor]) -> Tensor:
            layer = self._one(shared | own).train(self.training)
            layer._buffers = {**layer._buffers, "noise": noise}
            return layer(row)

        axis = 0 if self.noise.ndim else None  # not drawn yet
        return torch.vmap(one, in_dims=(0, axis, 0))(x, self.noise, varying(self))

    def _one(self, numbers: dict[str, Any]) -> Noise:
        """The layer of one run, with its numbers."""
        layer = copy.copy(self.single["module"])
        vars(layer).update(numbers)
        return layer


def varying(layer: Noise) -> dict[str, Tensor]:
    """The numbers of a lifted layer that differ from run to run, [K] each."""
    numbers = {key: getattr(layer, key) for key in layer.numbers}
    return {key: value for key, value in numbers.items() if isinstance(value, Tensor)}


def stack_numbers(layer: Noise, modules: Sequence[nn.Module]) -> None:
    """Give `layer` the runs' numbers: the float they agree on, or a tensor [K]."""
    for name in layer.numbers:
        values = [float(getattr(module, name)) for module in modules]
        differ = len(set(values)) > 1
        setattr(layer, name, torch.tensor(values, dtype=torch.float64) if differ else values[0])
