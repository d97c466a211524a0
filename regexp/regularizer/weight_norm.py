"""Weight normalization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from regexp.regularizer.base import NotApplicable, ParameterKinds, Regularizer, hidden_weights
from regexp.regularizer.common import places, unit_norms


@dataclass(frozen=True)
class WeightNorm(
    Regularizer,
    kind="normalization",
    provides=("parametrized weights", "weights whose length has no effect"),
    refuses=("parametrized weights",),
):
    """Train length and direction of each unit's weights apart: w = g * v / norm2(v).

    For the weights of hidden blocks: a unit's are a row of a linear or recurrent layer's matrix, a
    channel's kernel of a convolution. Biases and the output layer stay as they are. It begins with
    the weights that the model has (the data-dependent start of the paper is left out), and limits
    nothing: it changes the path that gradient descent takes.

    As in torch.nn.utils.parametrizations.weight_norm, `...parametrizations.weight.original0` is g
    [units, 1, ...] and `original1` is v. Penalties, decay and constraints leave g out and act on v,
    whose length changes no output, only the size of its steps, which grow as v shrinks. Where they
    have an `include`, `all` takes g too: as sum g^2 = sum w^2, L2 and weight decay of g are those
    of w. A unit whose v is all zeros (pruned, say) has no direction: its weights are zeros too, and
    stay so.

    Helps:
        Speed, as batch normalization but without the noise of batches, in recurrent networks and
        small batches; as a regularizer by itself little.

    Costs:
        Little: a norm a unit, of weights, not of rows.

    Raises:
        NotApplicable: for a model without hidden blocks, or one in which they share a weight with
            another layer.

    Reference:
        T. Salimans, D. Kingma, Weight normalization: a simple reparameterization to accelerate
        training of deep neural networks, NeurIPS 2016, eq. 2. https://arxiv.org/abs/1602.07868
    """

    def build(self, model: nn.Module) -> nn.Module:
        found = [(layer, name, getattr(layer, name)) for layer, name in hidden_weights(model)]
        for _, _, weight in found:
            if places(model, weight) > sum(other is weight for _, _, other in found):
                raise NotApplicable(
                    f"{type(model).__name__} has a layer that shares the weight of a hidden block, "
                    "but is none itself, so that they would no longer be the same",
                    key="regularizer",
                    cure="build it as a Block too, or leave the technique out",
                )
        first: dict[Tensor, Any] = {}
        for layer, name, weight in found:
            parametrize.register_parametrization(layer, name, LengthAndDirection())
            own: Any = layer.parametrizations
            tied = first.setdefault(weight, own[name])
            own[name].original0, own[name].original1 = tied.original0, tied.original1
        return model


class LengthAndDirection(nn.Module):
    """g * v / norm2(v), the norm over all axes but the first; zeros, without a slope, where v is 0.

    Torch's own, whose names and shapes these are, has no rule for `torch.vmap`.
    """

    parameter_kinds: ClassVar[ParameterKinds] = {"original0": "other"}

    def forward(self, g: Tensor, v: Tensor) -> Tensor:
        length = unit_norms(v)
        return v * (g / torch.where(length > 0, length, torch.inf))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return unit_norms(weight), weight
