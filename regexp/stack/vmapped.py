"""Modules for K runs through `torch.vmap` of their functional form, whatever they compute."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.model.functional import call_with
from regexp.model.layers import Noise
from regexp.model.modes import without_fast_path
from regexp.random import Rng
from regexp.stack.padding import padded_embeddings


class Stacked(nn.Module):
    """The parameters and buffers of K modules, [K, ...] each, under the names of one of them.

    Args:
        modules: equal but for the values of parameters, buffers and `Noise.numbers`.

    Attributes:
        single: the first of them (in a dict, so that it is no submodule).
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.single: dict[str, Any] = {"module": modules[0]}
        whole = copy.deepcopy(modules[0])
        for name, module in whole.named_modules():
            stack_tensors(module, [other.get_submodule(name) for other in modules])
        self._parameters.update(whole._parameters)
        self._buffers.update(whole._buffers)
        self._non_persistent_buffers_set |= whole._non_persistent_buffers_set
        self._modules.update(whole._modules)
        self.training = whole.training


def stack_tensors(module: nn.Module, modules: Sequence[nn.Module]) -> None:
    """Give `module` the parameters, buffers and numbers that K such modules have of their own."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            values = torch.stack([other.get_parameter(name).detach() for other in modules])
            # fused optimizers, and what joins several, take memory as it lies
            module._parameters[name] = nn.Parameter(values.contiguous(), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            values = torch.stack([other.get_buffer(name).detach() for other in modules])
            module._buffers[name] = values
    if isinstance(module, Noise):
        stack_numbers(module, modules)


class Vmapped(Stacked):
    """Any module for K runs, through `torch.vmap` of its functional form."""

    def forward(self, *inputs: Tensor) -> Tensor:
        single = self.single["module"]
        single.train(self.training)
        for name, module in self.named_modules():
            if name:
                inner = single.get_submodule(name)
                # a network's own train() may keep some of it in evaluation
                inner.training = module.training and (inner.training or not self.training)
        # under each name: a single run's may be two where the stack has one, as of shared noise
        buffers = dict(self.named_buffers(remove_duplicate=False))
        tensors = {**dict(self.named_parameters()), **buffers}
        numbers = {n: varying(m) for n, m in self.named_modules() if isinstance(m, Noise)}

        def single_run(
            tensors: dict[str, Tensor], numbers: dict[str, Any], *inputs: Tensor
        ) -> tuple[Tensor, dict[str, Tensor]]:
            moved: dict[str, Tensor] = {}
            with attributes(single, numbers):
                return call_with(single, tensors, *inputs, moved=moved), moved

        # what it draws is served run by run (`regexp.model.draws`)
        with without_fast_path(), padded_embeddings(self):
            runs = torch.vmap(single_run, randomness="different")
            outputs, moved = runs(tensors, numbers, *inputs)
        for name, value in moved.items():
            path, _, last = name.rpartition(".")
            self.get_submodule(path)._buffers[last] = value.detach()
        return outputs


@contextlib.contextmanager
def attributes(module: nn.Module, values: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Give modules in `module`, by name, other values of some attributes for a while."""
    inner = {name: vars(module.get_submodule(name)) for name in values}
    before = {name: {key: inner[name][key] for key in new} for name, new in values.items()}
    try:
        for name, new in values.items():
            inner[name].update(new)
        yield
    finally:
        for name, old in before.items():
            inner[name].update(old)


def without_parametrizations(module: nn.Module) -> nn.Module:
    """A module of `torch.nn.utils.parametrize` without the weights that it computes."""
    kind: Any = type(module).__base__  # torch put a class of its own on top
    copied: nn.Module = kind.__new__(kind)
    vars(copied).update(vars(module))
    copied._modules = {n: m for n, m in module._modules.items() if n != "parametrizations"}
    return copied


def computed(lifted: nn.Module, modules: Sequence[nn.Module]) -> nn.Module:
    """Give `lifted`, made of the modules without them, the weights that `modules` compute.

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
        self.numbers, self.shared = single.numbers, single.shared  # type: ignore[misc]
        self.shape, self.stream, self.key = single.shape, single.stream, single.key
        self.schedules = single.schedules
        self.training = single.training
        self.note_calls(single.further)
        stack_numbers(self, modules)

    def draw(self, rng: Rng, rows: int) -> Tensor:
        return self._single({key: getattr(self, key) for key in self.numbers}).draw(rng, rows)

    def idle(self, noise: Tensor) -> Tensor:
        return torch.vmap(self.single["module"].idle)(noise)

    def forward(self, x: Tensor) -> Tensor:
        shared = {key: getattr(self, key) for key in self.numbers}

        def single_run(x: Tensor, noise: Tensor, differing: dict[str, Tensor]) -> Tensor:
            layer = self._single(shared | differing).train(self.training)
            layer._buffers = {**layer._buffers, "noise": noise}
            return layer(x)

        axis = 0 if self.noise.ndim else None  # not drawn yet
        return torch.vmap(single_run, in_dims=(0, axis, 0))(x, self.noise, varying(self))

    def _single(self, numbers: dict[str, Any]) -> Noise:
        """The layer of one run, with its numbers."""
        layer: Noise = copy.copy(self.single["module"])
        vars(layer).pop("forward", None)  # of a pass, and of the other module
        vars(layer).update(numbers, shape=self.shape)
        return layer


def varying(layer: Noise) -> dict[str, Tensor]:
    """The numbers of a lifted layer that differ from run to run, [K] each."""
    numbers = {key: getattr(layer, key) for key in layer.numbers}
    return {
        key: value for key, value in numbers.items() if isinstance(value, Tensor) and value.ndim
    }


def stacked(values: Sequence[Any]) -> Any:
    """Numbers of K runs as one tensor [K] in float64; schedules as one of such tensors."""
    each = zip(*map(pytree.tree_leaves, values), strict=True)
    tensors = [torch.tensor(numbers, dtype=torch.float64) for numbers in each]
    return pytree.tree_unflatten(tensors, pytree.tree_structure(values[0]))


def stack_numbers(layer: Noise, modules: Sequence[nn.Module]) -> None:
    """Give `layer` the runs' numbers: the float they agree on, or a tensor [K]."""
    for name in layer.numbers:
        values = [float(getattr(module, name)) for module in modules]
        setattr(layer, name, stacked(values) if len(set(values)) > 1 else values[0])
    # [K] even where all are alike: their values then are
    each: list[Any] = [module.schedules for module in modules]
    layer.schedules = {name: stacked([one[name] for one in each]) for name in layer.schedules}
