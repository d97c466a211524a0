"""Dropout in a chain."""

from __future__ import annotations

import torch
from torch import Tensor

from regexp.random import Rng
from regexp.random.keep import keep_numbers, masks_of_runs
from regexp.training.chain.activations import RELU
from regexp.training.chain.layers import Elementwise, Layer, Scratch


class Dropout(Layer):
    """A `DropoutLayer`, with the masks that it would draw.

    Args:
        before: whose output is dropped.
        p: share that is dropped: a float, or [runs].
        scaled: whether the mask keeps the mean itself. Else the next layer does, by `scale`.

    Attributes:
        scale: by which the next layer multiplies its inputs.
        mask: that inputs are multiplied by, [rows, runs, units].
        covered: whether the layer before stops gradients where the mask is 0, which is 1 elsewhere.
    """

    def __init__(self, before: Layer, p: Tensor | float, *, scaled: bool) -> None:
        self._inputs = before.output
        scaled = scaled or isinstance(p, Tensor)  # a product of matrices has one scale for all runs
        after_relu = isinstance(before, Elementwise) and before.activation is RELU
        in_place = after_relu or not before.reads_output
        self.output = self._inputs if in_place else torch.empty_like(self._inputs)
        # what was dropped is 0, where ReLU's backward pass stops
        self.covered = after_relu and not scaled
        self.reads_output = after_relu
        self.mask = torch.empty_like(self._inputs)
        self._mask_of_runs = self.mask.transpose(0, 1)
        self._scaled = scaled
        self.drop(p)

    def drop(self, p: Tensor | float) -> None:
        """Drop this share from now on; of the kind that was given at first."""
        each = p.tolist() if isinstance(p, Tensor) else [p] * len(self._mask_of_runs)
        self._draw = masks_of_runs(self._mask_of_runs, [(share, self._scaled) for share in each])
        self.scale = 1.0 if self._scaled else keep_numbers(each[0])[1]

    def draw(self, rng: Rng) -> None:
        """Draw the masks of the next step from the layer's own stream."""
        self._draw(rng)

    def forward(self) -> None:
        torch.mul(self._inputs, self.mask, out=self.output)

    def connect(self, gradient: Tensor, scratch: Scratch) -> Tensor:
        self._gradient = gradient
        return gradient

    def backward(self) -> None:
        if not self.covered:
            self._gradient.mul_(self.mask)
