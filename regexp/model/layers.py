"""Layers that models are made of, and the places in them where techniques add theirs.

A model made of `Block`s and an `Inputs` slot takes every technique that adds layers. Order in a
block: linear (or convolution), normalization, activation, dropout, whatever order the techniques
come in (dropout before batch normalization shifts its variance: Li et al. 2019,
https://arxiv.org/abs/1801.05134).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from regexp.errors import NotApplicable
from regexp.model.kinds import own_kinds
from regexp.random import Rng


class Inputs(nn.Sequential):
    """The slot at a network's entry: empty, until a technique appends a layer."""


class Block(nn.Sequential):
    """A hidden layer with slots: `layer`, `norm` (empty), `activation`, `dropout` (empty).

    Args:
        layer: an `nn.Linear`, an `nn.Conv2d`, or a layer on sequences with an attribute `features`
            (`regexp.model.recurrent.Recurrent`).
        activation: a module that works element by element.

    Attributes:
        features: units or channels of its output.
        dimensions: of what it gives beside rows and features: 0 for [rows, features], 1 for
            sequences [rows, time, features], 2 for images [rows, channels, height, width].
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
        if isinstance(layer, nn.Linear):
            self.features, self.dimensions = layer.out_features, 0
        elif isinstance(layer, nn.Conv2d):
            self.features, self.dimensions = layer.out_channels, 2
        else:
            self.features, self.dimensions = int(layer.features), 1  # type: ignore[arg-type]


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
    """The hidden blocks of `model`, by name, from inputs to outputs.

    Raises:
        NotApplicable: if there is none, so that a technique has nowhere to add its layer.
    """
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
        for block in blocks(model).values()
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


def inputs(model: nn.Module) -> Inputs:
    """The slot at the entry of `model`.

    Raises:
        NotApplicable: if the model has none.
    """
    slots = modules_of(
        model,
        Inputs,
        "regexp.model.layers.Inputs, so there is nowhere to add a layer at its inputs",
        "begin its forward with one",
    )
    return next(iter(slots.values()))


class Noise(nn.Module):
    """A layer that takes its randomness as a buffer, which the loop fills before every step.

    Both passes of a step (SAM's, say) so see the same noise, and `vmap` can lift the layer.
    Outside the loop, call `fill_noise(model, rng, rows)` before every step.

    A subclass gives `draw`, and a `forward` that uses `self.noise` when `self.training`.

    Class attributes:
        numbers: names of the float attributes that may differ from run to run.
        elementwise: `forward` broadcasts over leading axes, so a stack needs no `vmap` for it.
        shared: drawn from the technique's `Step.shared`, so that its hooks know the draws; the
            same in every pass of a step.

    Attributes:
        noise: what `draw` returned last; [rows, *features] as a rule.
        shape: [*features] of the layer's input, noted by `note_shapes`.
        stream: the name of the technique that added the layer; keys its draws.
        key: which of that technique's layers it is, whatever others add; else the module's name.
    """

    numbers: ClassVar[tuple[str, ...]] = ()
    elementwise: ClassVar[bool] = True
    shared: ClassVar[bool] = False
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("noise", torch.ones(()), persistent=False)
        self.shape: torch.Size | None = None
        self.stream = ""
        self.key = ""

    def draw(self, rng: Rng, rows: int) -> Tensor:
        """The noise for a batch of `rows` rows of inputs of `self.shape`."""
        raise NotImplementedError

    def idle(self, noise: Tensor) -> Tensor:
        """Noise of the shape of `noise` at which x stays x; asked of techniques that take turns."""
        raise NotImplementedError

    def of(self, rng: Rng, name: str) -> Rng:
        """This layer's own stream below `rng`, the step's; `name` is the module's."""
        return rng.fold(self.stream, "shared" if self.shared else self.key or name)

    def note(self, x: Tensor) -> Tensor:
        """Pass `x` on, and note its shape if none is known."""
        if self.shape is None:
            self.shape = x.shape[1:]
        return x


class DropoutLayer(Noise):
    """Inverted dropout (Srivastava et al. 2014): x * mask / (1 - p) in training, else x.

    Args:
        p: share of elements that is dropped, in [0, 1).
        whole: axes of a row, from 0, along which the mask is the same: (1, 2) drops whole channels
            of images [channels, height, width].
    """

    numbers = ("p",)

    def __init__(self, p: float, whole: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.p = p
        self.whole = whole

    def draw(self, rng: Rng, rows: int) -> Tensor:
        assert self.shape is not None, "call the network once before drawing its noise"
        sizes = [1 if axis in self.whole else size for axis, size in enumerate(self.shape)]
        return rng.keep((rows, *sizes), self.p)

    def forward(self, x: Tensor) -> Tensor:
        # noise first: in a stack its strides, which are plain, become those of the product
        return self.noise * x if self.training else self.note(x)


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


def note_shapes(
    model: nn.Module,
    example: Tensor,
    call: Callable[[nn.Module, Tensor], object] = nn.Module.__call__,
) -> None:
    """Let the `Noise` layers of `model` know their shapes, by a pass of a copy in training mode.

    Args:
        example: inputs [rows, *features]; one row is enough.
        call: makes the pass.
    """
    trial = copy.deepcopy(model).train()
    layers = {name: m for name, m in trial.named_modules() if isinstance(m, Noise)}
    for layer in layers.values():
        layer.shape, layer.noise = None, example.new_ones((), dtype=torch.float32)
        layer.register_forward_pre_hook(_note)
    with torch.no_grad():
        # two rows: batch normalization has no use for one
        call(trial, example if len(example) > 1 else torch.cat([example, example]))
    copy_shapes(trial, model)


def copy_shapes(model: nn.Module, other: nn.Module) -> None:
    """Let the `Noise` layers of `other` know the shapes that those of its like, `model`, know."""
    for ours, theirs in zip(model.modules(), other.modules(), strict=True):
        if isinstance(ours, Noise) and isinstance(theirs, Noise):
            theirs.shape = ours.shape


def _note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
    assert isinstance(layer, Noise)
    if inputs and isinstance(inputs[0], Tensor):
        layer.note(inputs[0])


def fill_noise(model: nn.Module, rng: Rng, rows: int) -> None:
    """Draw the noise of every `Noise` layer of `model` for a batch of `rows` rows.

    Args:
        model: a network whose layers know their shapes (`note_shapes`).
        rng: the stream of the step; each layer has its own below it.
    """
    for name, module in model.named_modules():
        if isinstance(module, Noise):
            module.noise = module.draw(module.of(rng, name), rows)
