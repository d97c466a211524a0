"""What kind of parameter each of a network's is, by the module that owns it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from torch import nn
from torch.nn.utils.parametrizations import _WeightNorm
from torch.nn.utils.parametrize import ParametrizationList

from regexp.errors import ConfigError

PARAMETER_KINDS = ("weight", "bias", "normalization", "embedding", "other")
"""`weight`: multiplies the inputs of a layer; `normalization`: scales and shifts of a normalization
layer; `embedding`: a table of rows to look up, or what embeds a number; `other`: tokens, positions,
scales, gates, lengths.
"""

ParameterKinds = Mapping[str, str]
"""The kind of each parameter by its name, in the order of the modules that have them last: a table
of words that is the output layer's weight as well stands where that does. Buffers have none: they
are not in it."""

OUTPUT = "output"
"""What optimizers are told in place of `weight` of the last one."""

_NORMALIZATION = re.compile(r"Norm([123]d)?$")


def parameter_kinds(model: nn.Module) -> ParameterKinds:
    """The kind of each of a network's parameters, one of `PARAMETER_KINDS`, by name.

    The module that owns a parameter decides:

    - what its attribute `parameter_kinds`, kinds by the module's own names, says of it;
    - all of a normalization layer is `normalization`: one of torch's, or of a class that is named
      or derived from one named `...Norm` (with `1d`, `2d` or `3d` after it);
    - all of an `nn.Embedding` or `nn.EmbeddingBag` is `embedding`;
    - `bias`, `bias_...` and `..._bias` are a `bias`, `bias_k` and `bias_v` of attention too;
    - `weight`, `weight_...` and `..._weight`, as torch names them in linear, convolution, recurrent
      and attention layers, of two dimensions or more, are a `weight`;
    - anything else is `other`.

    What is trained in the place of a parametrized weight is of that weight's kind, but for the
    lengths of weight normalization, which are `other`. A parameter that several modules share is
    a `weight` if it is that in one of them.

    Raises:
        ConfigError: if a module says a kind that there is not.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    weights: set[int] = set()
    kinds: dict[str, str] = {}
    every = dict(model.named_parameters(remove_duplicate=False))
    for name, parameter in every.items():
        kinds[name] = _kind(modules, name, parameter)
        if kinds[name] == "weight":
            weights.add(id(parameter))
    last = {id(parameter): place for place, parameter in enumerate(every.values())}
    # of a shared parameter only the first name is that of a parameter
    ordered = sorted(model.named_parameters(), key=lambda item: last[id(item[1])])
    return MappingProxyType({n: "weight" if id(p) in weights else kinds[n] for n, p in ordered})


def in_order(names: Iterable[str], kinds: ParameterKinds) -> list[str]:
    """Names of parameters in the order of `kinds`, from inputs to outputs."""
    places = {name: place for place, name in enumerate(kinds)}
    return sorted(names, key=lambda name: places.get(name, len(places)))


def kinds_of(parameters: Iterable[str], kinds: ParameterKinds) -> list[str]:
    """Kinds of parameters as they come, for an optimizer: that of the last weight is `OUTPUT`."""
    names = list(parameters)
    weights = [name for name in in_order(names, kinds) if kinds[name] == "weight"]
    return [OUTPUT if [name] == weights[-1:] else kinds[name] for name in names]


def owner(name: str) -> str:
    """The module that a parameter belongs to, the same for both parts of a parametrized weight.

    `hidden.0.weight` and `hidden.0.parametrizations.weight.original0` are of `hidden.0`.
    """
    module, parametrized, _ = name.partition(".parametrizations.")
    return module if parametrized else name.rpartition(".")[0]


def own_kinds(module: nn.Module) -> dict[str, str]:
    """The kinds of the parameters that `module` itself owns, by its own names for them.

    Those of parts below it are left out, and so are parametrized ones.
    """
    return {
        name: _kind({"": module}, name, parameter)
        for name, parameter in module.named_parameters(recurse=False)
    }


def _kind(modules: Mapping[str, nn.Module], name: str, parameter: nn.Parameter) -> str:
    path, _, own = name.rpartition(".")
    if isinstance(holder := modules[path], ParametrizationList):
        if said := _said(holder[0], own):
            return said
        layer, _, own = f".{path}".rpartition(".parametrizations.")
        path = layer.removeprefix(".")
    while isinstance(modules[path], nn.ParameterList | nn.ParameterDict):
        path, _, own = path.rpartition(".")
    return _said(modules[path], own) or _guessed(modules[path], own, parameter)


def _said(module: nn.Module, own: str) -> str | None:
    """What the class of `module` says of the parameter that it calls `own`."""
    if isinstance(module, _WeightNorm):
        return "other" if own == "original0" else None
    kind: str | None = getattr(module, "parameter_kinds", {}).get(own)
    if kind is not None and kind not in PARAMETER_KINDS:
        raise ConfigError(
            f"{type(module).__name__}.parameter_kinds says {kind!r} of {own}",
            key="model",
            cure=f"the kinds are {', '.join(PARAMETER_KINDS)}",
        )
    return kind


def _guessed(module: nn.Module, own: str, parameter: nn.Parameter) -> str:
    if any(_NORMALIZATION.search(base.__name__) for base in type(module).__mro__):
        return "normalization"
    if isinstance(module, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    if _named(own, "bias"):
        return "bias"
    # the lengths of torch's older weight normalization stand beside its directions
    length = own.endswith("_g") and hasattr(module, f"{own.removesuffix('_g')}_v")
    return "weight" if _named(own, "weight") and parameter.ndim >= 2 and not length else "other"


def _named(own: str, word: str) -> bool:
    return own == word or own.startswith(f"{word}_") or own.endswith(f"_{word}")
