"""Dropout of whole channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import DropoutLayer, NotApplicable, Range, Regularizer, blocks

POSITIONS = {1: (0,), 2: (1, 2)}
"""Axes of a row that are no channels: time of [time, features], sides of [channels, h, w]."""


@dataclass(frozen=True)
class SpatialDropout(Regularizer, kind="layer", neutral={"p": 0.0}, data=("series", "images")):
    """Zero whole channels at random: h * mask / (1 - p), one mask a row and channel.

    All pixels of a channel (all times of a feature) are dropped or kept together. Neighbours carry
    almost the same information, so that dropping single elements leaves most of it in place.

    The layer stands after the activation of every hidden block on images or sequences; blocks
    without positions, such as the linear one at the end of a convolutional network, get none (add
    dropout for those). As torch's Dropout2d on images; on sequences, whose features stand last
    here, as Keras's SpatialDropout1D.

    Helps:
        Convolutional and recurrent networks, instead of dropout; with few channels even small
        shares take away much.

    Costs:
        Less than dropout: one random number a channel instead of one an element.

    Args:
        p: share of the channels that is dropped, in [0, 1).

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model whose hidden blocks see neither images nor sequences.

    Reference:
        J. Tompson et al., Efficient object localization using convolutional networks, CVPR 2015,
        section 3.2. https://arxiv.org/abs/1411.4280
    """

    p: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        with_channels = [block for block in blocks(model).values() if block.dimensions in POSITIONS]
        if not with_channels:
            raise NotApplicable(
                f"no hidden block of {type(model).__name__} has channels of images or sequences",
                key="regularizer.spatial_dropout",
                cure="use regularizer=dropout, or a model such as cnn or lstm",
            )
        for block in with_channels:
            block.dropout.append(DropoutLayer(self.p, POSITIONS[block.dimensions]))
        return model
