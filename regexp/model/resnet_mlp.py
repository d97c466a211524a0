"""The residual network for tables."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from regexp.model.activation import activation_module
from regexp.model.embedding import Embedding, Rows, embedded
from regexp.model.layers import Block, Inputs, Residual


class ResNetMLP(nn.Sequential):
    """A linear layer, residual blocks, and a linear output after an activation.

        h = W_0 x + b_0
        h = h + W_2 dropout(activation(norm(W_1 h + b_1))) + b_2     for each residual block
        y = W activation(h) + b

    Of the paper's ResNet it differs in what techniques add: its batch normalization stands before
    W_1 and before the last activation, while a normalization technique stands after W_1, where it
    stands in every block here; its dropout after W_2 has no counterpart, the slot there being for
    stochastic depth. Without a technique there is neither.

    Args:
        input_shape: [*features] of one row; it is flattened.
        outputs: numbers a row (classes, or values in regression).
        width: units of h.
        hidden: units inside a residual block.
        depth: residual blocks.
        activation: a name, see `regexp.model.activation`.
        embedding, training_inputs: see `regexp.model.mlp.MLP`.

    Raises:
        ValueError: for sizes below 1, or an unknown activation.

    Reference:
        Gorishniy et al. 2021, "Revisiting deep learning models for tabular data", section 3.2,
        https://arxiv.org/abs/2106.11959
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        width: int,
        hidden: int,
        depth: int,
        activation: str,
        embedding: Embedding | None = None,
        training_inputs: Rows = None,
    ) -> None:
        for name, size in (("width", width), ("hidden", hidden), ("depth", depth)):
            if size < 1:
                raise ValueError(f"model.{name}: expected a number >= 1, got {size}")
        encoding, size = embedded(embedding, math.prod(input_shape), training_inputs)
        branches = [
            nn.Sequential(
                OrderedDict(
                    hidden=Block(nn.Linear(width, hidden), activation_module(activation)),
                    output=nn.Linear(hidden, width),
                )
            )
            for _ in range(depth)
        ]
        super().__init__(
            OrderedDict(
                inputs=Inputs(),
                flatten=nn.Flatten(),
                **encoding,
                embedding=nn.Linear(size, width),
                residual=nn.Sequential(*map(Residual, branches)),
                activation=activation_module(activation),
                output=nn.Linear(width, outputs),
            )
        )
