"""Layers that models are made of, and the places in them where techniques add theirs.

A model made of `Block`s and an `Inputs` slot takes every technique that adds layers. Order in a
block: linear (or convolution), normalization, activation, dropout, whatever order the techniques
come in (dropout before batch normalization shifts its variance: Li et al. 2019,
https://arxiv.org/abs/1801.05134).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, TypeVar

from torch import Tensor, nn

from regexp.errors import ConfigError, NotApplicable
from regexp.model.kinds import own_kinds
from regexp.model.noise import DropoutLayer, Noise, fill_noise, note_shapes


class Inputs(nn.Sequential):
    """The slot at a network's entry: empty, until a technique appends a layer."""


class Block(nn.Sequential):
    """A hidden layer with slots: `layer`, `norm` (empty), `activation`, `dropout` (empty).

    Args:
        layer: an `nn.Linear`, an `nn.Conv2d`, or a layer on sequences with an attribute `features`
            (`regexp.model.recurrent.Recurrent`).
        activation: a module that works element by element.

    Raises:
        ConfigError: for another layer.

    Attributes:
        features: units or channels of its output.
        dimensions: of what it gives beside rows and features: 0 for [rows, features], 1 for
            sequences [rows, time, features], 2 for images [rows, channels, height, width]. Of an
            `nn.Linear` it is 0 until `regexp.model.positions.note_positions` has seen it at work.
        unfit: why techniques can add no layer to it, as that has seen; empty if they can.
    """

    layer: nn.Module
    norm: nn.Sequential
    activation: nn.Module
    dropout: nn.Sequential

    def __init__(self, layer: nn.Module, activation: nn.Module) -> None:
        super().__init__(
            OrderedDict(
                layer=layer, norm=nn.Sequential(), activation=activation, dropout=nn.Sequential()
            )
        )
        self.features: int
        self.dimensions: int
        self.unfit = ""
        if isinstance(layer, nn.Linear):
            self.features, self.dimensions = layer.out_features, 0
        elif isinstance(layer, nn.Conv2d):
            self.features, self.dimensions = layer.out_channels, 2
        elif isinstance(features := getattr(layer, "features", None), int):
            self.features, self.dimensions = features, 1
        else:
            raise ConfigError(
                f"a Block of {type(layer).__name__}",
                key="model",
                expected="an nn.Linear, an nn.Conv2d, or a layer on [rows, time, features] "
                "with an attribute `features`",
                cure="give it that attribute, or leave the Block out",
            )


class Residual(nn.Module):
    """x + drop(branch(x)), with a slot `drop` (empty) for what drops whole branches.

    Args:
        branch: gives what it takes in shape.
    """

    broadcasts: ClassVar[bool] = True
    drop: nn.Sequential

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.drop = nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.drop(self.branch(x))


__all__ = [
    "Block", "DropoutLayer", "EachTime", "Inputs", "Noise", "Residual", "blocks", "fill_noise",
    "hidden_weights", "inputs", "modules_of", "note_shapes", "residuals", "unfit",
]  # fmt: skip

_M = TypeVar("_M", bound=nn.Module)


def modules_of(model: nn.Module, kind: type[_M], missing: str, cure: str) -> dict[str, _M]:
    """The modules of a kind in `model`, by name, from inputs to outputs.

    Raises:
        NotApplicable: if there is none; `missing` follows "the model has no".
    """
    modules = {name: module for name, module in model.named_modules() if isinstance(module, kind)}
    if not modules:
        problem = f"{type(model).__name__} has no {missing}"
        raise NotApplicable(problem, key="regularizer", cure=cure)
    return modules


def blocks(model: nn.Module) -> dict[str, Block]:
    """The hidden blocks of `model`, by name, from inputs to outputs, to add layers to.

    Raises:
        NotApplicable: if there is none, so that a technique has nowhere to add its layer, or one
            has something else on its first axis than the rows of the batch.
    """
    found = _blocks(model)
    for block in found.values():
        if block.unfit:
            raise NotApplicable(f"{type(model).__name__}: {block.unfit}", key="regularizer")
    return found


def unfit(layer: nn.Module) -> str:
    """Why techniques can add nothing by rows to a linear layer or block, as `note_positions` has
    found; empty if they can.
    """
    return str(vars(layer).get("unfit", ""))


def _blocks(model: nn.Module) -> dict[str, Block]:
    return modules_of(
        model,
        Block,
        "hidden regexp.model.layers.Block, so there is nowhere to add a layer",
        "build its hidden layers as Block(nn.Linear(...), nn.ReLU())",
    )


def hidden_weights(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """The weights of the hidden blocks, from inputs to outputs: each a layer and a name in it.

    Raises:
        NotApplicable: if there is no hidden block.
    """
    return [
        (block.layer, name)
        for block in _blocks(model).values()
        for name, kind in own_kinds(block.layer).items()
        if kind == "weight"
    ]


def residuals(model: nn.Module) -> dict[str, Residual]:
    """The residual branches of `model`, by name, from inputs to outputs.

    Raises:
        NotApplicable: if there is none.
    """
    return modules_of(
        model,
        Residual,
        "regexp.model.layers.Residual, so there is no branch to drop",
        "use a residual network such as model=resnet_mlp",
    )


def inputs(model: nn.Module, cure: str = "begin its forward with one") -> Inputs:
    """The slot at the entry of `model`.

    Args:
        cure: what to do if it has none, for the message.

    Raises:
        NotApplicable: if the model has none.
    """
    slots = modules_of(
        model,
        Inputs,
        "regexp.model.layers.Inputs, so there is nowhere to add a layer at its inputs",
        cure,
    )
    return next(iter(slots.values()))


class EachTime(nn.Module):
    """Normalization of sequences [..., rows, time, features]: every time of a row is a row.

    Args:
        norm: a layer on [..., rows, features].
    """

    broadcasts: ClassVar[bool] = True

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.flatten(-3, -2)).unflatten(-2, x.shape[-3:-1])
