"""Variational dropout of recurrent networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import nn

from regexp.regularizer.base import DropoutLayer, Range, Regularizer, blocks, inputs, recurrents

TIME = (0,)  # of a row [time, features]


@dataclass(frozen=True)
class VariationalDropout(
    Regularizer,
    kind="layer",
    neutral={"inputs": 0.0, "hidden": 0.0, "recurrent": 0.0},
    data=("series",),
):
    """Dropout with one mask a sequence: the same units are zero at all times.

    x_t <- x_t * m_x / (1 - p) where features enter a recurrent layer or the layers after it, and
    h_(t-1) <- h_(t-1) * m_h / (1 - p) where the state enters the product with the recurrent
    weights. All gates of a layer see the same masks ("tied weights" in the paper). The state that
    is handed on is not scaled, only what enters the product. In evaluation nothing changes.

    Not to be confused with the variational dropout of Kingma et al. 2015, which learns its rates.

    Helps:
        Recurrent networks on few or short sequences. Dropout with new masks at every time adds up
        along the sequence and makes the state forget; this does not.

    Costs:
        Little: one mask a sequence, one multiplication a time and layer.

    Args:
        inputs: share of the network's input channels that is dropped, in [0, 1); of a series of
            one channel it would drop whole rows.
        hidden: share of every recurrent layer's outputs that is dropped, in [0, 1): the inputs of
            the layer above it.
        recurrent: share of the state that is dropped where it enters the recurrent product, in
            [0, 1).

    Raises:
        ValueError: for a share out of its range.
        NotApplicable: for a model without recurrent layers.

    Reference:
        Y. Gal, Z. Ghahramani, A theoretically grounded application of dropout in recurrent neural
        networks, NeurIPS 2016, section 4, eq. 7. https://arxiv.org/abs/1512.05287
    """

    inputs: Annotated[float, Range(0, 1, open_high=True)]
    hidden: Annotated[float, Range(0, 1, open_high=True)]
    recurrent: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        for layer in recurrents(model).values():
            layer.state.append(DropoutLayer(self.recurrent))  # [rows, features]: at all times
        for block in blocks(model).values():
            if block.dimensions == 1:
                block.dropout.append(DropoutLayer(self.hidden, TIME))
        inputs(model).append(DropoutLayer(self.inputs, TIME))
        return model
