"""A small convolutional network for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from regexp.layers import Block, Inputs
from regexp.model.activation import activation_module


class CNN(nn.Sequential):
    """Convolutions 3 x 3, each with an activation and a max pooling, then one hidden linear layer.

    Args:
        input_shape: [channels, height, width] of one image.
        outputs: classes.
        channels: output channels of each convolution; each halves height and width.
        hidden: units of the linear layer before the output.
        activation: a name, see `regexp.model.activation`.

    Raises:
        ValueError: for inputs that are no images, or too small for so many halvings.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        channels: Sequence[int],
        hidden: int,
        activation: str,
    ) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                "model: cnn expects images [channels, height, width], but the dataset gives rows "
                f"of shape {list(input_shape)}; use model=mlp or a dataset of images"
            )
        if min([hidden, *channels], default=0) < 1:
            raise ValueError(
                f"model.channels, model.hidden: expected numbers >= 1, got {list(channels)}, "
                f"{hidden}"
            )
        if min(input_shape[1:]) < 2 ** len(channels):
            raise ValueError(
                f"model.channels: {len(channels)} halvings need images of at least "
                f"{2 ** len(channels)} pixels a side, got {list(input_shape[1:])}"
            )
        convolutions: list[nn.Module] = []
        for before, after in zip([input_shape[0], *channels], channels, strict=False):
            convolution = nn.Conv2d(before, after, kernel_size=3, padding=1)
            convolutions += [Block(convolution, activation_module(activation)), nn.MaxPool2d(2)]
        features = nn.Sequential(*convolutions)
        with torch.no_grad():
            flat = features(torch.zeros(1, *input_shape)).numel()
        super().__init__(
            OrderedDict(
                inputs=Inputs(),
                features=features,
                flatten=nn.Flatten(),
                hidden=Block(nn.Linear(flat, hidden), activation_module(activation)),
                output=nn.Linear(hidden, outputs),
            )
        )
