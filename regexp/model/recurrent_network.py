"""Recurrent networks for sequences: LSTM and GRU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from regexp.model.activation import activation_module
from regexp.model.layers import Block, Inputs
from regexp.model.recurrent import Recurrent


class Last(nn.Module):
    """What a sequence ends with: [..., time, features] -> [..., features]."""

    broadcasts: ClassVar[bool] = True

    def forward(self, x: Tensor) -> Tensor:
        return x[..., -1, :]


class RecurrentNetwork(nn.Sequential):
    """Recurrent layers, the state of the last at the last time, and a linear output.

    Args:
        input_shape: [time, channels] of one sequence.
        outputs: numbers a sequence (classes, or values in regression).
        kind: `lstm` or `gru`, see `regexp.model.recurrent.Recurrent`.
        features: size of the state of each recurrent layer.
        hidden: units of each linear layer between the last state and the output; may be empty.
        activation: of the linear layers, a name, see `regexp.model.activation`. Recurrent layers
            have their own.

    Raises:
        ValueError: for inputs that are no sequences, or sizes below 1.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        kind: str,
        features: Sequence[int],
        hidden: Sequence[int],
        activation: str,
    ) -> None:
        if len(input_shape) != 2:
            raise ValueError(
                f"model: {kind} expects series [time, channels], but the dataset gives rows of "
                f"shape {list(input_shape)}; use model=mlp or dataset=series"
            )
        if not features or min(features) < 1:
            raise ValueError(
                f"model.features: expected a list of sizes >= 1, one a layer, got {list(features)}"
            )
        if any(units < 1 for units in hidden):
            raise ValueError(f"model.hidden: expected units >= 1 a layer, got {list(hidden)}")
        recurrent = [
            Block(Recurrent(kind, before, after), nn.Identity())
            for before, after in zip([input_shape[1], *features], features, strict=False)
        ]
        sizes = [features[-1], *hidden]
        layers = [
            Block(nn.Linear(size, units), activation_module(activation))
            for size, units in zip(sizes, hidden, strict=False)
        ]
        super().__init__(
            OrderedDict(
                inputs=Inputs(),
                recurrent=nn.Sequential(*recurrent),
                last=Last(),
                hidden=nn.Sequential(*layers),
                output=nn.Linear(sizes[-1], outputs),
            )
        )
