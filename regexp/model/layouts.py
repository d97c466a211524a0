"""How the weights of layers lie: which of their numbers lead into a unit, and out of an input."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from regexp.model.kinds import owner, parameter_kinds


class Layout(NamedTuple):
    """How weights lie. As a rule [units, inputs, ...], and in convolutions of torch's otherwise:

    those of groups are [units, inputs / groups, ...], where the inputs of a group have the places
    of those of another, and transposed ones [inputs, units / groups, ...].

    Attributes:
        transposed: whether the inputs come first.
        groups: of units, each of which sees the inputs of its own group alone.
    """

    transposed: bool = False
    groups: int = 1

    def units_first(self, w: Tensor) -> Tensor:
        """`w` as [units, inputs of each unit, ...]; once more gives `w` again."""
        return self._swapped(w) if self.transposed else w

    def inputs_first(self, w: Tensor) -> Tensor:
        """`w` as [inputs, units that see each input, ...]; once more gives `w` again."""
        return w if self.transposed else self._swapped(w)

    def _swapped(self, w: Tensor) -> Tensor:
        """[groups * a, b, ...] -> [groups * b, a, ...]"""
        return w.unflatten(0, (self.groups, -1)).transpose(1, 2).flatten(0, 1)


WeightLayouts = Mapping[str, Layout]
"""How weights lie, by their parameters' names; of those that are not in it, as a rule."""


def weight_layouts(model: nn.Module) -> WeightLayouts:
    """How the weights of the convolutions of `model` lie that have groups or are transposed."""
    modules = dict(model.named_modules())
    layouts = {}
    for name, kind in parameter_kinds(model).items():
        layer = modules[owner(name)] if kind == "weight" else None
        if isinstance(layer, _ConvNd) and (layer.transposed or layer.groups > 1):
            layouts[name] = Layout(layer.transposed, layer.groups)
    return MappingProxyType(layouts)
