"""Dropout of hidden units and of input features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import DropoutLayer, Range, Regularizer, blocks, inputs


@dataclass(frozen=True)
class Dropout(Regularizer, kind="layer", neutral={"hidden": 0.0, "inputs": 0.0}):
    """Zero units at random: h * mask / (1 - p) in training, h in evaluation.

    Each element of each row is dropped by itself, in convolutional blocks too. The layer stands
    after the activation and so after its block's normalization: batch normalization right behind it
    would gather variances in training that are larger than those in evaluation. That of the next
    block still sees some of this. The output layer has none. Nothing is scaled in evaluation.

    Helps:
        Networks that are large for their rows, most of all fully connected layers. With many rows,
        or next to batch normalization, little; in recurrent layers use variational dropout.

    Costs:
        One random number and one multiplication a hidden unit; more epochs until it has converged.

    Args:
        hidden: share p of every hidden block's outputs that is dropped, in [0, 1); None for no
            layers there, for a model that has no hidden blocks.
        inputs: share of the features that is dropped, in [0, 1); None for no layer there.

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without slots for the layers.

    Reference:
        N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
        JMLR 15 (2014), section 4. https://jmlr.org/papers/v15/srivastava14a.html
    """

    hidden: Annotated[float | None, Range(0, 1, open_high=True)]
    inputs: Annotated[float | None, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        if self.hidden is not None:
            for block in blocks(model).values():
                block.dropout.append(DropoutLayer(self.hidden))
        if self.inputs is not None:
            inputs(model).append(DropoutLayer(self.inputs))
        return model
