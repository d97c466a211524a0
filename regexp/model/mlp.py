"""The multi-layer perceptron."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from regexp.model.activation import activation_module
from regexp.model.embedding import Embedding, Rows, embedded
from regexp.model.layers import Block, Inputs


class MLP(nn.Sequential):
    """Hidden layers of units, each followed by an activation, and a linear output layer.

    Args:
        input_shape: [*features] of one row; it is flattened.
        outputs: numbers a row (classes, or values in regression).
        hidden: units of each hidden layer; empty for a linear model.
        activation: a name, see `regexp.model.activation`.
        embedding: makes one of `regexp.model.embedding` for the features; null for none.
        training_inputs: of the training split, [rows, *features], for an embedding that learns
            from them.

    Raises:
        ValueError: for a layer of no units or an unknown activation.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        hidden: Sequence[int],
        activation: str,
        embedding: Embedding | None = None,
        training_inputs: Rows = None,
    ) -> None:
        if any(units < 1 for units in hidden):
            raise ValueError(f"model.hidden: expected units >= 1 a layer, got {list(hidden)}")
        encoding, size = embedded(embedding, math.prod(input_shape), training_inputs)
        sizes = [size, *hidden]
        layers = [
            Block(nn.Linear(size, units), activation_module(activation))
            for size, units in zip(sizes, hidden, strict=False)
        ]
        super().__init__(
            OrderedDict(
                inputs=Inputs(),
                flatten=nn.Flatten(),
                **encoding,
                hidden=nn.Sequential(*layers),
                output=nn.Linear(sizes[-1], outputs),
            )
        )
