"""Layers that take their randomness from the loop, which draws it before every step."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.random import Rng


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
        schedules: of those of its `numbers` that change over a run, by name; the loop sets them
            before it draws.
        further: the shapes of what it gets when the module that it serves, its `Block` say, is
            called again in the same pass. The noise of these calls is in the buffers `noise1`,
            `noise2` and so on.
    """

    numbers: ClassVar[tuple[str, ...]] = ()
    elementwise: ClassVar[bool] = True
    shared: ClassVar[bool] = False
    noise: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("noise", torch.ones(()), persistent=False)
        self.shape: torch.Size | None = None
        self.schedules: dict[str, Any] = {}  # of regexp.regularizer.schedule.Schedule
        self.further: tuple[torch.Size | None, ...] = ()
        self.stream = ""
        self.key = ""

    def draw(self, rng: Rng, rows: int) -> Tensor:
        """The noise for a batch of `rows` rows of inputs of `self.shape`."""
        raise NotImplementedError

    def idle(self, noise: Tensor) -> Tensor:
        """Noise of the shape of `noise` at which x stays x; asked of techniques that take turns."""
        raise NotImplementedError(
            f"{type(self).__name__} has no idle, which it needs to take turns with others"
        )

    def is_silent(self, run: int | None = None) -> bool:
        """Whether it leaves what it gets as it is, whatever is drawn.

        Args:
            run: of a lifted layer; None for a layer of one run.
        """
        return False

    def number(self, key: str, run: int | None) -> float:
        """One of `numbers` of one run; see `is_silent`."""
        value = getattr(self, key)
        return float(value[run] if isinstance(value, Tensor) and run is not None else value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Noise:
        """What moves the buffers to a device moves the numbers of a lifted layer as well."""
        super()._apply(fn, recurse)
        for key in self.numbers:
            if isinstance(number := getattr(self, key), Tensor):
                setattr(self, key, fn(number))
        self.schedules = pytree.tree_map_only(Tensor, fn, self.schedules)
        return self

    def of(self, rng: Rng, name: str) -> Rng:
        """This layer's own stream below `rng`, the step's; `name` is the module's."""
        return rng.fold(self.stream, "shared" if self.shared else self.key or name)

    @property
    def noise_buffers(self) -> tuple[str, ...]:
        """The names of the buffers that hold noise, one a call."""
        return ("noise", *(f"noise{index + 1}" for index in range(len(self.further))))

    def draw_calls(self, draw: Callable[[Rng], Tensor], rng: Rng) -> dict[str, Tensor]:
        """The noise of every call in a pass, by the names of the buffers.

        Args:
            draw: gives that of an input of `self.shape`.
            rng: the layer's own stream of the step.
        """
        noise, first = [draw(rng)], self.shape
        for index, shape in enumerate(self.further, 1):
            self.shape = shape
            # what hooks of its technique know holds for every call
            noise.append(noise[0] if self.shared else draw(rng.fold("call", index)))
        self.shape = first
        return dict(zip(self.noise_buffers, noise, strict=True))

    def note_calls(self, further: Sequence[torch.Size | None]) -> None:
        """Know the shapes of the calls after the first."""
        for name in self.noise_buffers[1:]:
            del self._buffers[name]
        self.further = tuple(further)
        for name in self.noise_buffers[1:]:
            self.register_buffer(name, self.noise.new_ones(()), persistent=False)

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

    def idle(self, noise: Tensor) -> Tensor:
        return torch.ones_like(noise)

    def is_silent(self, run: int | None = None) -> bool:
        return not self.training or self.number("p", run) == 0

    def forward(self, x: Tensor) -> Tensor:
        # noise first: in a stack its strides, which are plain, become those of the product
        return self.noise * x if self.training else self.note(x)


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
    calls: Counter[str] = Counter()
    seen: dict[str, dict[int, torch.Size]] = {name: {} for name in layers}
    for owner in {owner_of(name, trial) for name in layers}:
        trial.get_submodule(owner).register_forward_pre_hook(partial(_count, calls, owner))
    for name, layer in layers.items():
        layer.shape, layer.noise = None, example.new_ones((), dtype=torch.float32)
        layer.note_calls(())
        index = partial(calls.__getitem__, owner_of(name, trial))
        layer.register_forward_pre_hook(partial(_note, seen[name], index))
    with torch.no_grad():
        # two rows: batch normalization has no use for one
        call(trial, example if len(example) > 1 else torch.cat([example, example]))
    for name, layer in layers.items():
        count = calls[owner_of(name, trial)]
        layer.note_calls([seen[name].get(number, layer.shape) for number in range(2, count + 1)])
    copy_shapes(trial, model)


def owner_of(name: str, network: nn.Module) -> str:
    """The name of the module that a noise layer serves: the one around it that is no container.

    A recurrent layer that goes through its states with one mask for all times is called once.
    """
    path = name
    while path:
        path = path.rpartition(".")[0]
        if type(network.get_submodule(path)) not in (nn.Sequential, nn.ModuleList, nn.ModuleDict):
            return path
    return name


def copy_shapes(model: nn.Module, other: nn.Module) -> None:
    """Let the `Noise` layers of `other` know the shapes that those of its like, `model`, know."""
    for ours, theirs in zip(model.modules(), other.modules(), strict=True):
        if isinstance(ours, Noise) and isinstance(theirs, Noise):
            theirs.shape = ours.shape
            theirs.note_calls(ours.further)


def _count(calls: Counter[str], name: str, module: nn.Module, inputs: object) -> None:
    calls[name] += 1


def _note(
    seen: dict[int, torch.Size],
    index: Callable[[], int],
    layer: nn.Module,
    inputs: tuple[Any, ...],
) -> None:
    assert isinstance(layer, Noise)
    if inputs and isinstance(inputs[0], Tensor):
        layer.note(inputs[0])
        seen.setdefault(index(), inputs[0].shape[1:])


def fill_noise(model: nn.Module, rng: Rng, rows: int) -> None:
    """Draw the noise of every `Noise` layer of `model` for a batch of `rows` rows.

    Args:
        model: a network whose layers know their shapes (`note_shapes`).
        rng: the stream of the step; each layer has its own below it.
    """
    for name, module in model.named_modules():
        if isinstance(module, Noise):
            draw = partial(module.draw, rows=rows)
            module._buffers.update(module.draw_calls(draw, module.of(rng, name)))
