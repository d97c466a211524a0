"""Parts of a chain's step in C (`kernels.c`), where they have the bits of torch's operations."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from regexp.random import Rng, compiled
from regexp.training.chain.activations import RELU
from regexp.training.chain.dropout import Dropout
from regexp.training.chain.layers import BatchNorm, Elementwise, Inputs, Layer, Scratch
from regexp.training.chain.losses import LossAndGradient, cross_entropy


def kernels(dtype: torch.dtype) -> ctypes.CDLL | None:
    """The functions of `kernels.c`; None where they cannot be had or have other bits than torch's.

    With several threads torch makes its sums in another order.
    """
    return _tried() if dtype is torch.float32 and torch.get_num_threads() == 1 else None


class CompiledBatchNorm(BatchNorm):
    """`BatchNorm`, and the ReLU and the dropout after it.

    Args:
        library: `kernels(...)`.
        arguments: of `BatchNorm`.
    """

    def __init__(self, library: ctypes.CDLL, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._library = library
        self._relu = False
        self._dropout: Dropout | None = None

    def takes(self, layer: Layer) -> bool:
        """Whether a layer that follows is computed here from now on."""
        if self._dropout or layer.output.data_ptr() != self.output.data_ptr():
            return False
        if isinstance(layer, Dropout):
            self._dropout = layer
        elif isinstance(layer, Elementwise) and layer.activation is RELU and not self._relu:
            self._relu = True
        else:
            return False
        return True

    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        result = super().connect(gradient, scratch)
        mask = self._dropout.mask if self._dropout else None
        masked = None if self._dropout and self._dropout.covered else mask
        sizes = [ctypes.c_int64(size) for size in self._inputs.shape]
        self._forward = (
            *_places(self._inputs, self._result, mask), ctypes.c_int(self._relu),
            *_places(self._weight, self._bias, self._running_mean, self._running_var),
            *_places(self._mean, self._inverse), *sizes,
            ctypes.c_double(self._momentum), ctypes.c_double(self._eps),
        )  # fmt: skip
        self._backward = (
            *_places(self._gradient, self._input_gradient, self._inputs),
            *_places(self._result if self._relu else None, masked, self._weight),
            *_places(self._mean, self._inverse, self._weight_gradient, self._bias_gradient), *sizes,
        )  # fmt: skip
        return result

    def forward(self) -> None:
        self._library.batch_norm(*self._forward)

    def backward(self) -> None:
        self._library.batch_norm_backward(*self._backward)


def joined(layers: Sequence[Layer]) -> list[Layer]:
    """Layers without those that the one before them computes as well."""
    found: list[Layer] = []
    for layer in layers:
        before = found[-1] if found else None
        if not (isinstance(before, CompiledBatchNorm) and before.takes(layer)):
            found.append(layer)
    return found


def passed(layers: Sequence[Layer], gradient: Tensor) -> Tensor:
    """The gradient at the inputs of some layers, after one forward and one backward pass.

    Args:
        gradient: at their outputs, [rows, runs, units], as many units as there are inputs.
    """
    scratch = Scratch(gradient.numel(), gradient.dtype)
    for layer in layers[::-1]:
        gradient = layer.connect(gradient, scratch)
    for layer in layers:
        layer.forward()
    for layer in layers[::-1]:
        layer.backward()
    return gradient


def compiled_cross_entropy(library: ctypes.CDLL) -> LossAndGradient:
    """`losses.cross_entropy`."""

    def loss(outputs: Tensor, targets: Tensor, gradient: Tensor) -> Tensor:
        if targets.dtype is not torch.int64:
            return cross_entropy(outputs, targets, gradient)  # which says what is wrong
        logs, targets = torch.log_softmax(outputs, 1), targets.contiguous()
        torch.exp(logs, out=gradient)
        losses = torch.empty_like(targets, dtype=outputs.dtype)
        sizes = [ctypes.c_int64(size) for size in outputs.shape]
        if library.cross_entropy(*_places(logs, gradient, losses, targets), *sizes):
            return losses
        return cross_entropy(outputs, targets, gradient)

    return loss


def _places(*tensors: Tensor | None) -> list[ctypes.c_void_p]:
    assert all(one is None or one.is_contiguous() for one in tensors)
    return [ctypes.c_void_p(None if one is None else one.data_ptr()) for one in tensors]


@functools.cache
def _tried() -> ctypes.CDLL | None:
    """`kernels.c`, if what it computes has the bits of torch's operations."""
    library = compiled.library(
        Path(__file__).with_suffix(".c"), "batch_norm", "batch_norm_backward", "cross_entropy"
    )
    if library is None:
        return None
    outputs, targets = _values(3, 4, 50), Rng(0, "targets").integers(4, (3, 50))
    ours, torchs = torch.empty_like(outputs), torch.empty_like(outputs)
    losses = compiled_cross_entropy(library)(outputs, targets, ours)
    right = torch.equal(losses, cross_entropy(outputs, targets, torchs))
    right = right and torch.equal(ours, torchs)
    ways = [functools.partial(CompiledBatchNorm, library), BatchNorm]
    by_c, by_torch = ([tensor.clone() for tensor in _computed(way)] for way in ways)
    return library if right and all(map(torch.equal, by_c, by_torch)) else None


def _values(*shape: int) -> Tensor:
    return Rng(0, "values", *shape).normal(shape)


def _computed(norm: Any, rows: int = 33, runs: int = 2, units: int = 37) -> list[Tensor]:
    """What passes through batch normalization, ReLU and dropout compute, for odd sizes."""
    entry = Inputs(rows, runs, units, torch.float32)
    entry.take(_values(runs, rows, units))
    parameters = [(_values(runs, units), _values(runs, units)) for _ in range(2)]
    statistics = _values(runs, units), _values(runs, units).square()
    first = norm(entry, *parameters, statistics, 0.1, 1e-5)
    relu = Elementwise(first, RELU)
    dropout = Dropout(relu, 0.25, scaled=True)
    dropout.mask.copy_(_values(rows, runs, units) > 0)
    at_inputs = passed(joined([first, relu, dropout]), _values(rows, runs, units))
    return [dropout.output, at_inputs, *statistics, *(one for _, one in parameters)]
