"""Layers of a chain, each with its backward pass, for some runs and batches of so many rows.

Values and gradients are [rows, runs, units], so that what is done for each unit of each run, such
as batch normalization, is done for one long row of units. A layer writes into memory of its own
or into that of the layer before it, where nobody reads that again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from regexp.training.chain.activations import Activation

aten = torch.ops.aten


class Scratch:
    """Memory for gradients, of which two are alive at a time.

    Args:
        values: of the largest gradient.
    """

    def __init__(self, values: int, dtype: torch.dtype) -> None:
        self._halves = [torch.empty(values, dtype=dtype) for _ in range(2)]

    def other(self, taken: Tensor, shape: Sequence[int]) -> Tensor:
        """Memory of `shape` in the half that does not hold `taken`."""
        first, second = self._halves
        half = second if taken.data_ptr() == first.data_ptr() else first
        return half[: torch.Size(shape).numel()].view(*shape)


class Layer(ABC):
    """One layer.

    Attributes:
        output: what `forward` writes, [rows, runs, units].
        reads_output: whether `backward` reads it, so that the next layer must leave it alone.
    """

    output: Tensor
    reads_output: bool = False

    @abstractmethod
    def forward(self) -> None:
        """Compute `output` from the output of the layer before."""

    @abstractmethod
    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        """Where the gradient at the inputs will lie, if that at the outputs lies in `gradient`."""

    @abstractmethod
    def backward(self) -> None:
        """Compute the gradients of the parameters, and that at the inputs."""


class Linear(Layer):
    """`nn.Linear`.

    Args:
        inputs: [rows, runs, units], of any strides.
        weight, bias: with their gradients: [runs, out, in] and [runs, out].
        scale: of the inputs.
        columns: whether outputs lie as [runs, units, rows], for a loss, and not as hidden ones.
        normalized: whether batch normalization follows. It takes the bias away with the mean, so
            that the gradient of the bias is exactly 0.
    """

    def __init__(
        self,
        inputs: Tensor,
        weight: tuple[Tensor, Tensor],
        bias: tuple[Tensor, Tensor] | None,
        scale: float = 1.0,
        *,
        columns: bool = False,
        normalized: bool = False,
    ) -> None:
        self._weight, self._weight_gradient = weight
        self._weight_columns = self._weight.transpose(1, 2)
        self._input_gradient: Tensor | None = None
        self._bias: Tensor | None = None
        self._bias_gradient: Tensor | None = None
        if bias:
            self._bias = bias[0]
            self._bias_gradient = None if normalized else bias[1]
        self._scale = scale
        self._columns = columns
        rows, runs, units = len(inputs), len(self._weight), self._weight.shape[1]
        self.take(inputs.transpose(0, 1))
        if columns:
            self.product = inputs.new_empty(runs, units, rows)
            self.output = self.product.permute(2, 0, 1)
        else:
            self.output = inputs.new_empty(rows, runs, units)
            self.product = self.output.transpose(0, 1)
        if self._bias is not None:
            self._bias = self._bias.unsqueeze(2 if columns else 1)

    def take(self, inputs: Tensor) -> None:
        """Read these inputs from now on, [runs, rows, units]."""
        self._inputs = inputs
        self._input_columns = inputs.transpose(1, 2)

    def forward(self) -> None:
        pair = (
            (self._weight, self._input_columns)
            if self._columns
            else (self._inputs, self._weight_columns)
        )
        if self._bias is None:
            self.product.baddbmm_(*pair, beta=0, alpha=self._scale)
        else:
            torch.baddbmm(self._bias, *pair, alpha=self._scale, out=self.product)

    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        self.begin(gradient)
        result = scratch.other(gradient, (len(gradient), *self._inputs.shape[::2]))
        self._input_gradient = result.transpose(0, 1)
        return result

    def begin(self, gradient: Tensor) -> None:
        """Compute no gradient at the inputs, which are those of the network."""
        self._gradient_columns = gradient.permute(1, 2, 0)
        self._gradient = gradient.transpose(0, 1)

    def backward(self) -> None:
        columns, scale = self._gradient_columns, self._scale
        self._weight_gradient.baddbmm_(columns, self._inputs, beta=0, alpha=scale)
        if self._bias_gradient is not None:
            torch.sum(columns, 2, out=self._bias_gradient)
        if self._input_gradient is not None:
            self._input_gradient.baddbmm_(self._gradient, self._weight, beta=0, alpha=scale)


class BatchNorm(Layer):
    """`nn.BatchNorm1d` in training, by torch's kernels, for the units of all runs at once.

    Args:
        before: whose output is normalized.
        weight, bias: with their gradients, [runs, units] each.
        statistics: the running mean and variance, [runs, units].
    """

    def __init__(
        self,
        before: Layer,
        weight: tuple[Tensor, Tensor],
        bias: tuple[Tensor, Tensor],
        statistics: tuple[Tensor, Tensor],
        momentum: float,
        eps: float,
    ) -> None:
        inputs = before.output
        self._inputs = inputs.view(len(inputs), -1)  # the units of all runs are so many channels
        self._result = torch.empty_like(self._inputs)
        self.output = self._result.view(inputs.shape)
        self._weight, self._weight_gradient = (tensor.view(-1) for tensor in weight)
        self._bias, self._bias_gradient = (tensor.view(-1) for tensor in bias)
        self._running_mean, self._running_var = (tensor.view(-1) for tensor in statistics)
        self._mean, self._inverse = (torch.empty_like(self._weight) for _ in range(2))
        self._momentum = momentum
        self._eps = eps

    def forward(self) -> None:
        aten.native_batch_norm.out(
            self._inputs, self._weight, self._bias, self._running_mean, self._running_var,
            True, self._momentum, self._eps,
            out=self._result, save_mean=self._mean, save_invstd=self._inverse,
        )  # fmt: skip

    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        self._gradient = gradient.view(self._inputs.shape)
        result = scratch.other(gradient, gradient.shape)
        self._input_gradient = result.view(self._inputs.shape)
        return result

    def backward(self) -> None:
        by_input, by_weight, by_bias = aten.native_batch_norm_backward.default(
            self._gradient, self._inputs, self._weight, None, None, self._mean, self._inverse,
            True, self._eps, [True, True, True],
        )  # fmt: skip
        self._input_gradient.copy_(by_input)
        self._weight_gradient.copy_(by_weight)
        self._bias_gradient.copy_(by_bias)


class Elementwise(Layer):
    """An activation."""

    def __init__(self, before: Layer, activation: Activation) -> None:
        self.activation = activation
        self._inputs = before.output
        in_place = activation.by_output and not before.reads_output
        self.output = self._inputs if in_place else torch.empty_like(self._inputs)
        self.reads_output = activation.by_output
        self._seen = self.output if activation.by_output else self._inputs

    def forward(self) -> None:
        self.activation.forward(self._inputs, self.output)

    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        self._gradient = gradient
        return gradient

    def backward(self) -> None:
        self.activation.backward(self._gradient, self._seen)


class Inputs(Layer):
    """The network's inputs, copied to where layers that work in place may change them."""

    def __init__(self, rows: int, runs: int, units: int, dtype: torch.dtype) -> None:
        self.output = torch.empty(rows, runs, units, dtype=dtype)

    def take(self, inputs: Tensor) -> None:
        """Copy inputs [runs, rows, units]."""
        self.output.copy_(inputs.transpose(0, 1))

    def forward(self) -> None:
        pass

    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        return gradient

    def backward(self) -> None:
        pass
