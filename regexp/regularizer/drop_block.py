"""DropBlock: dropout of squares of images' channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from regexp.regularizer.base import Noise, NotApplicable, Range, Regularizer, Rng, blocks


@dataclass(frozen=True)
class DropBlock(Regularizer, kind="layer", neutral={"p": 0.0}, data=("images",)):
    """Zero squares of pixels in every channel at random: h * mask * size(mask) / sum(mask).

    A square begins at each pixel where it fits with probability

        gamma = p / block_size^2 * height * width / ((height - block_size + 1)
                                                     * (width - block_size + 1)),

    so that the share of zeros would be p if no two squares met; as some do, it is a little
    smaller (by about p^2 / 2). Squares are drawn for each row and channel by itself. The scale is
    that of the whole batch's mask, as in the paper, so the mean over the batch is kept exactly,
    one row's only in expectation. A channel that is smaller than a square gets squares of its own
    smaller side. In evaluation h passes unchanged.

    The layer stands after the activation of every hidden block on images. p is the same from the
    first step on; the paper raises it linearly from 0.

    Helps:
        Convolutional networks on images of some size, where dropout of single pixels leaves their
        neighbours. On images of a few pixels it is close to dropping whole channels.

    Costs:
        A pooling of the mask beside its draw: in small networks about as much as the convolutions.

    Args:
        p: share that is dropped, in [0, 1).
        block_size: side of a square in pixels of the block's output, >= 1; 1 is dropout.

    Raises:
        ValueError: for a number out of its range.
        NotApplicable: for a model without hidden blocks on images.

    Reference:
        G. Ghiasi, T.-Y. Lin, Q. Le, DropBlock: a regularization method for convolutional networks,
        NeurIPS 2018, algorithm 1 and eq. 1. https://arxiv.org/abs/1810.12890
    """

    p: Annotated[float, Range(0, 1, open_high=True)]
    block_size: Annotated[int, Range(1)]

    def build(self, model: nn.Module) -> nn.Module:
        convolutional = [block for block in blocks(model).values() if block.dimensions == 2]
        if not convolutional:
            raise NotApplicable(
                f"no hidden block of {type(model).__name__} gives images",
                key="regularizer.drop_block",
                cure="use regularizer=dropout, or model=cnn",
            )
        for block in convolutional:
            block.dropout.append(DropBlockLayer(self.p, self.block_size))
        return model


class DropBlockLayer(Noise):
    """x * noise in training, else x; x [rows, channels, height, width].

    Args:
        p: share that is dropped, in [0, 1).
        block_size: side of a square in pixels.
    """

    numbers = ("p",)

    def __init__(self, p: float, block_size: int) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size

    def draw(self, rng: Rng, rows: int) -> Tensor:
        assert self.shape is not None, "call the network once before drawing its noise"
        channels, height, width = self.shape
        side = min(self.block_size, height, width)
        down, across = height - side + 1, width - side + 1  # places for a square's first corner
        gamma = self.p / side**2 * (height * width) / (down * across)
        corners = rng.keep((rows, channels, down, across), gamma) == 0
        edge = side - 1
        around = pad(corners.to(torch.float32), (edge, edge, edge, edge)).flatten(0, -4)
        dropped = max_pool2d(around, side, stride=1)
        kept = 1 - dropped.view(*corners.shape[:-2], height, width)
        axes = (-4, -3, -2, -1)  # a stack's draws have its axis before these
        left = kept.sum(axes, keepdim=True, dtype=torch.float64).clamp(min=1)
        return kept * (rows * channels * height * width / left).to(torch.float32)

    def idle(self, noise: Tensor) -> Tensor:
        return torch.ones_like(noise)

    def forward(self, x: Tensor) -> Tensor:
        return self.noise * x if self.training else self.note(x)
