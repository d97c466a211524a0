"""Activations by name: those of torch that work element by element and hold no parameters."""

from __future__ import annotations

import difflib

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}


def activation_module(name: str) -> nn.Module:
    """A new module of the activation called `name`.

    Raises:
        ValueError: if there is none, naming the nearest.
    """
    if name not in ACTIVATIONS:
        nearest = difflib.get_close_matches(str(name), ACTIVATIONS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(
            f"model.activation: expected one of {', '.join(ACTIVATIONS)}, got {name!r}{hint}"
        )
    return ACTIVATIONS[name]()
