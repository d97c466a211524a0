"""Dropout of hidden units and of input features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from regexp.regularizer import base
from regexp.regularizer.base import Regularizer, blocks, check_range, inputs


@dataclass(frozen=True)
class Dropout(Regularizer):
    """Zero units at random: h * mask / (1 - p) in training, h in evaluation.

    Each element of each row is dropped by itself, in convolutional blocks too. The layer stands
    after the activation and so after any normalization (before it, the variance in training is not
    that in evaluation). The output layer has none. Nothing is scaled in evaluation.

    Args:
        hidden: share p of every hidden block's outputs that is dropped, in [0, 1).
        inputs: share of the features that is dropped, in [0, 1); None for no layer there.

    Raises:
        ValueError: for a share out of its range, or a model without slots for the layers.

    Reference:
        N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting,
        JMLR 15 (2014), section 4. https://jmlr.org/papers/v15/srivastava14a.html
    """

    neutral: ClassVar[Mapping[str, Any] | None] = {"hidden": 0.0, "inputs": 0.0}

    hidden: float
    inputs: float | None

    def check(self) -> None:
        for name in ("hidden", "inputs"):
            share = getattr(self, name)
            if name == "inputs" and share is None:
                continue
            check_range(f"regularizer.dropout.{name}", share, 0, 1, open_high=True)

    def build(self, model: nn.Module) -> nn.Module:
        for block in blocks(model).values():
            block.dropout.append(base.Dropout(self.hidden))
        if self.inputs is not None:
            inputs(model).append(base.Dropout(self.inputs))
        return model
