"""Convolutional networks for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from regexp.model.activation import activation_module
from regexp.model.layers import Block, Inputs


class CNN(nn.Sequential):
    """Stages of convolutions 3 x 3, each stage ending in a max pooling, and a linear output.

    Between them stands a hidden linear layer on all that the last stage gives, or the mean over
    its positions (global average pooling: Lin et al. 2014, section 3.2,
    https://arxiv.org/abs/1312.4400), which has no parameters and takes images of any size.

    Args:
        input_shape: [channels, height, width] of one image.
        outputs: numbers an image (classes, or values in regression).
        channels: output channels of each stage's convolutions, `[16, [32, 32]]`: one in the first
            stage, two in the second. A stage halves height and width.
        hidden: units of the hidden linear layer; null for global average pooling.
        activation: a name, see `regexp.model.activation`.

    Raises:
        ValueError: for inputs that are no images, or too small for so many halvings.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        outputs: int,
        channels: Sequence[int | Sequence[int]],
        hidden: int | None,
        activation: str,
    ) -> None:
        if len(input_shape) != 3:
            raise ValueError(
                "model: cnn expects images [channels, height, width], but the dataset gives rows "
                f"of shape {list(input_shape)}; use model=mlp or a dataset of images"
            )
        stages = [[stage] if isinstance(stage, int) else list(stage) for stage in channels]
        if not all(stages) or min((n for stage in stages for n in stage), default=1) < 1:
            raise ValueError(f"model.channels: expected numbers >= 1 a stage, got {stages}")
        if hidden is not None and hidden < 1:
            raise ValueError(f"model.hidden: expected units >= 1, or null for none, got {hidden}")
        if min(input_shape[1:]) < 2 ** len(stages):
            raise ValueError(
                f"model.channels: {len(stages)} halvings need images of at least "
                f"{2 ** len(stages)} pixels a side, got {list(input_shape[1:])}"
            )
        layers: list[nn.Module] = []
        before = input_shape[0]
        for stage in stages:
            for after in stage:
                convolution = nn.Conv2d(before, after, kernel_size=3, padding=1)
                layers.append(Block(convolution, activation_module(activation)))
                before = after
            layers.append(nn.MaxPool2d(2))
        features = nn.Sequential(*layers)
        head: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
        if hidden is None:
            head = OrderedDict(mean=nn.AdaptiveAvgPool2d(1), **head)
        else:
            with torch.no_grad():
                flat = features(torch.zeros(1, *input_shape)).numel()
            head["hidden"] = Block(nn.Linear(flat, hidden), activation_module(activation))
            before = hidden
        super().__init__(
            OrderedDict(
                inputs=Inputs(), features=features, **head, output=nn.Linear(before, outputs)
            )
        )
