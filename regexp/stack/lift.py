"""Modules that know the run axis: K networks of one structure as one network on [K, rows, ...].

`lift(models)` turns K modules that differ only in their numbers into one whose parameters and
buffers carry a leading run axis, under the same names. The few layers that matter have a form of
their own (a batched matrix product, a grouped convolution, batch normalization over K x C
channels); layers that work element by element are shared; a module with a class attribute
`broadcasts = True`, whose forward serves [K, rows, ...] as well, keeps it; any other module is
lifted whole by `torch.vmap`.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from regexp.model.activation import ACTIVATIONS
from regexp.model.functional import hooks_of, is_hooked
from regexp.model.layers import Noise
from regexp.model.modes import modes_kept
from regexp.stack.vmapped import (
    Stacked,
    Vmapped,
    VmappedNoise,
    computed,
    stack_numbers,
    stack_tensors,
    without_parametrizations,
)

Modules = Sequence[nn.Module]


def lift(modules: Modules) -> nn.Module:
    """One module for K modules of the same structure.

    Args:
        modules: equal but for the values of parameters, buffers and `Noise.numbers`.

    Returns:
        A module on [K, rows, ...], with the same names of parameters and buffers, each with a
        leading axis of K.

    Raises:
        ValueError: something of them is called with gradients, which it would not be there.
    """
    _check_unhooked(modules[0])
    lifted = _lift(modules, {})
    _tie(lifted, modules[0])
    return lifted


def _check_unhooked(module: nn.Module) -> None:
    """By what it has, not by what it does: a hook may change few gradients, and not the first."""
    hooked = [name for name, parameter in module.named_parameters() if is_hooked(parameter)]
    hooked += [
        name or type(module).__name__
        for name, inner in module.named_modules()
        if inner._backward_hooks or inner._backward_pre_hooks
    ]
    if hooked:
        raise ValueError(
            f"model: a hook on {hooked[0]} gets its gradients, and is not called in a stack of "
            "runs; train the runs one after another with stack=false"
        )


def _tie(lifted: nn.Module, single: nn.Module) -> None:
    """Have `lifted` hold one tensor wherever `single` holds one in several places."""
    for kind in ("parameters", "buffers"):
        places: dict[int, list[str]] = {}
        for name, tensor in getattr(single, f"named_{kind}")(remove_duplicate=False):
            places.setdefault(id(tensor), []).append(name)
        for first, *others in places.values():
            for name in others:
                path, _, last = name.rpartition(".")
                held = getattr(lifted.get_submodule(path), f"_{kind}")
                held[last] = getattr(lifted, f"get_{kind[:-1]}")(first)


def _lift(modules: Modules, done: dict[int, nn.Module]) -> nn.Module:
    """`lift`; `done` holds what became of modules that stand in several places."""
    first = modules[0]
    if id(first) not in done:
        done[id(first)] = _lift_new(modules, done)
    return done[id(first)]


def _lift_new(modules: Modules, done: dict[int, nn.Module]) -> nn.Module:
    first = modules[0]
    if _plain_sequential(first):
        lifted = nn.Sequential(
            OrderedDict(
                # not named_children, which leaves out what stands in a second place
                (name, _lift([module._modules[name] for module in modules], done))  # type: ignore[misc]
                for name in first._modules
            )
        )
        lifted.training = first.training
        return lifted
    if _hooked(first):
        return Vmapped(modules)
    if parametrize.is_parametrized(first):
        plain = _lift_new([without_parametrizations(module) for module in modules], done)
        return Vmapped(modules) if isinstance(plain, Vmapped) else computed(plain, modules)
    if getattr(first, "broadcasts", False) or type(first) is nn.ModuleList:
        return _lift_broadcasting(modules, done)
    if isinstance(first, Noise):
        if _has_tensors(first):
            raise ValueError(
                f"model: {type(first).__name__} is a Noise with parameters or buffers of its own; "
                "in a stack of runs it must say broadcasts = True; train with stack=false"
            )
        return _lift_noise(modules) if first.elementwise else VmappedNoise(modules)
    if type(first) in _SHARED:
        return first
    form = _FORMS.get(type(first), Vmapped)
    return form(modules)


def _lift_broadcasting(modules: Modules, done: dict[int, nn.Module]) -> nn.Module:
    """The module itself with stacked tensors and lifted children: it says that it broadcasts."""
    lifted = copy.copy(modules[0])
    lifted._parameters, lifted._buffers = {**lifted._parameters}, {**lifted._buffers}
    stack_tensors(lifted, modules)
    lifted._modules = {
        name: None if child is None else _lift([m._modules[name] for m in modules], done)  # type: ignore[misc]
        for name, child in modules[0]._modules.items()
    }
    return lifted


def _hooked(module: nn.Module) -> bool:
    return bool(hooks_of(module))


def _plain_sequential(module: nn.Module) -> bool:
    """Whether calling `module` is no more than calling what it holds, one after another."""
    kind = type(module)
    plain = kind.forward is nn.Sequential.forward and kind.train is nn.Module.train
    return plain and "forward" not in vars(module) and not _hooked(module)


@torch.no_grad()
def check_lifted(lifted: nn.Module, modules: Modules, inputs: Tensor) -> None:
    """Refuse, by name, networks that cannot be lifted, or that would be others then.

    Args:
        modules: the K networks.
        inputs: a few rows for each, [K, rows, *features].

    Raises:
        ValueError: if they give other outputs lifted than alone.
    """
    try:
        if dict(lifted.named_parameters()).keys() != dict(modules[0].named_parameters()).keys():
            raise RuntimeError("its parameters have other names there than alone")
        with modes_kept(lifted, *modules):
            outputs = lifted.eval()(inputs)
            each = [module.eval()(rows) for module, rows in zip(modules, inputs, strict=True)]
        for run, alone in enumerate(each):
            if not torch.allclose(outputs[run], alone, rtol=1e-3, atol=1e-4, equal_nan=True):
                raise RuntimeError(f"run {run} of it gives other outputs there than alone")
    except Exception as error:  # a user's module may raise anything
        raise ValueError(
            f"model: {type(modules[0]).__name__} cannot be trained as a stack of runs "
            f"({error}); train the runs one after another with stack=false"
        ) from error


def chain(model: nn.Module) -> list[nn.Module]:
    """The modules that `model` calls one after another: itself, or what its Sequentials hold.

    Calling them in turn is calling the model, without the time that every container takes, which
    is a few percent of a small network's step.
    """
    if not _plain_sequential(model):
        return [model]
    return [leaf for child in model._modules.values() if child is not None for leaf in chain(child)]


class LiftedLinear(Stacked):
    """`nn.Linear` for K runs: x [K, ..., in] -> [K, ..., out]."""

    weight: Tensor  # [K, out, in]
    bias: Tensor | None  # [K, out]

    def forward(self, x: Tensor) -> Tensor:
        flat = x if x.ndim == 3 else x.flatten(1, -2)
        weight = self.weight.transpose(1, 2)
        if self.bias is None:
            y = torch.bmm(flat, weight)
        else:
            y = torch.baddbmm(self.bias.unsqueeze(1), flat, weight)
        return y if x.ndim == 3 else y.unflatten(1, x.shape[1:-1])


class LiftedConv2d(Stacked):
    """`nn.Conv2d` for K runs as one grouped convolution: x [K, rows, channels, h, w]."""

    weight: Tensor  # [K, out, in / groups, kh, kw]
    bias: Tensor | None  # [K, out]

    def forward(self, x: Tensor) -> Tensor:
        single = self.single["module"]
        bias = None if self.bias is None else self.bias.flatten()
        y = F.conv2d(
            _join(x),
            self.weight.flatten(0, 1),
            bias,
            single.stride,
            single.padding,
            single.dilation,
            single.groups * len(x),
        )
        return _part(y, len(x))


class LiftedBatchNorm(Stacked):
    """`nn.BatchNorm1d/2d` for K runs: torch's batch normalization over K x C channels."""

    weight: Tensor | None  # [K, C], as all of these but the last
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None  # [K]

    def __init__(self, modules: Modules) -> None:
        super().__init__(modules)
        self.momentum: float | None = modules[0].momentum  # type: ignore[assignment]
        self.eps: float = modules[0].eps  # type: ignore[assignment]

    def forward(self, x: Tensor) -> Tensor:
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked[0])
        y = F.batch_norm(
            _join(x),
            None if self.running_mean is None else self.running_mean.view(-1),
            None if self.running_var is None else self.running_var.view(-1),
            None if self.weight is None else self.weight.view(-1),
            None if self.bias is None else self.bias.view(-1),
            self.training or self.running_mean is None,
            momentum,
            self.eps,
        )
        return _part(y, len(x))


class LiftedPool(Stacked):
    """A pooling for K runs: the runs are so many more rows."""

    def forward(self, x: Tensor) -> Tensor:
        return self.single["module"](x.flatten(0, 1)).unflatten(0, x.shape[:2])


class LiftedFlatten(Stacked):
    """`nn.Flatten` for K runs."""

    def forward(self, x: Tensor) -> Tensor:
        single = self.single["module"]
        end = single.end_dim if single.end_dim < 0 else single.end_dim + 1
        start = single.start_dim if single.start_dim < 0 else single.start_dim + 1
        return x.flatten(start, end)


def _lift_noise(modules: Modules) -> nn.Module:
    layer = copy.deepcopy(modules[0])
    assert isinstance(layer, Noise)
    stack_numbers(layer, modules)
    return layer


def _has_tensors(layer: Noise) -> bool:
    others = layer._buffers.keys() - set(layer.noise_buffers)
    return bool([*layer.parameters(), *layer.children(), *others])


def _join(x: Tensor) -> Tensor:
    """[K, rows, C, ...] -> [rows, K * C, ...]."""
    return x.transpose(0, 1).flatten(1, 2)


def _part(y: Tensor, runs: int) -> Tensor:
    """[rows, K * C, ...] -> [K, rows, C, ...]."""
    return y.unflatten(1, (runs, -1)).transpose(0, 1)


_SHARED: frozenset[type[nn.Module]] = frozenset(
    [*ACTIVATIONS.values(), nn.Dropout, nn.AlphaDropout, nn.RReLU]
)

_FORMS: dict[type[nn.Module], Callable[[Modules], nn.Module]] = {
    nn.Linear: LiftedLinear,
    nn.BatchNorm1d: LiftedBatchNorm,
    nn.BatchNorm2d: LiftedBatchNorm,
    nn.MaxPool2d: LiftedPool,
    nn.AvgPool2d: LiftedPool,
    nn.AdaptiveAvgPool2d: LiftedPool,
    nn.Flatten: LiftedFlatten,
}


def _convolution(modules: Modules) -> nn.Module:
    plain = modules[0].padding_mode == "zeros"
    return LiftedConv2d(modules) if plain else Vmapped(modules)


_FORMS[nn.Conv2d] = _convolution
