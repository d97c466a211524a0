"""Activations and their derivatives, written into memory that is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

aten = torch.ops.aten


class Activation(NamedTuple):
    """y = f(x) and what its backward pass needs.

    Attributes:
        forward: `forward(x, y)` writes f(x) into y.
        backward: `backward(d, v)` turns the gradient d at y into that at x, in place; v is y if
            `by_output`, else x.
        by_output: whether y tells the derivative, so that x need not be kept.
    """

    forward: Callable[[Tensor, Tensor], Any]
    backward: Callable[[Tensor, Tensor], Any]
    by_output: bool = False


RELU = Activation(
    lambda x, y: torch.clamp_min(x, 0, out=y),
    lambda d, y: aten.threshold_backward.grad_input(d, y, 0, grad_input=d),
    by_output=True,
)

_TANH = Activation(
    lambda x, y: torch.tanh(x, out=y),
    lambda d, y: aten.tanh_backward.grad_input(d, y, grad_input=d),
    by_output=True,
)

_SIGMOID = Activation(
    lambda x, y: torch.sigmoid(x, out=y),
    lambda d, y: aten.sigmoid_backward.grad_input(d, y, grad_input=d),
    by_output=True,
)

_SILU = Activation(
    lambda x, y: aten.silu.out(x, out=y),
    lambda d, x: aten.silu_backward.grad_input(d, x, grad_input=d),
)

_MISH = Activation(
    lambda x, y: aten.mish.out(x, out=y),
    lambda d, x: d.copy_(aten.mish_backward(d, x)),  # torch has no form that writes in place
)


def _elu(alpha: float, scale: float) -> Activation:
    return Activation(
        lambda x, y: aten.elu.out(x, alpha, scale, 1.0, out=y),
        lambda d, x: aten.elu_backward.grad_input(d, alpha, scale, 1.0, False, x, grad_input=d),
    )


def _leaky_relu(slope: float) -> Activation:
    return Activation(
        lambda x, y: aten.leaky_relu.out(x, slope, out=y),
        lambda d, x: aten.leaky_relu_backward.grad_input(d, x, slope, False, grad_input=d),
    )


def _gelu(form: str) -> Activation:
    return Activation(
        lambda x, y: aten.gelu.out(x, approximate=form, out=y),
        lambda d, x: aten.gelu_backward.grad_input(d, x, approximate=form, grad_input=d),
    )


def _softplus(beta: float, threshold: float) -> Activation:
    return Activation(
        lambda x, y: aten.softplus.out(x, beta, threshold, out=y),
        lambda d, x: aten.softplus_backward.grad_input(d, x, beta, threshold, grad_input=d),
    )


_SELU = (1.6732632423543772848170429916717, 1.0507009873554804934193349852946)
"""alpha and scale of Klambauer et al. (2017), with torch's digits."""

_MAKERS: dict[type[nn.Module], Callable[[Any], Activation]] = {
    nn.ReLU: lambda module: RELU,
    nn.LeakyReLU: lambda module: _leaky_relu(module.negative_slope),
    nn.ELU: lambda module: _elu(module.alpha, 1.0),
    nn.SELU: lambda module: _elu(*_SELU),
    nn.GELU: lambda module: _gelu(module.approximate),
    nn.SiLU: lambda module: _SILU,
    nn.Mish: lambda module: _MISH,
    nn.Tanh: lambda module: _TANH,
    nn.Sigmoid: lambda module: _SIGMOID,
    nn.Softplus: lambda module: _softplus(module.beta, module.threshold),
}


def activation_of(module: nn.Module) -> Activation | None:
    """What a module of torch's computes element by element; None for any other."""
    make = _MAKERS.get(type(module))
    return make(module) if make else None
