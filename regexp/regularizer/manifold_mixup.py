"""Mixup of hidden values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Batch, Noise, Range, Regularizer, Rng, Step, blocks, inputs
from regexp.regularizer.common import mixed, mixed_targets, pairs


class Mixing(Noise):
    """l * x + (1 - l) * x of another row in training at its turn, else x.

    l, the other rows and whose turn it is are the step's, the same for all of a network's mixing
    layers.

    Args:
        alpha: of l ~ Beta(alpha, alpha).
        place: its number among the mixing layers, from 0.
        places: how many there are.
    """

    numbers = ("alpha",)
    shared = True

    def __init__(self, alpha: float, place: int, places: int) -> None:
        super().__init__()
        self.alpha = alpha
        self.place = place
        self.places = places

    def draw(self, rng: Rng, rows: int) -> Tensor:
        """Each row's share l and the number of its other row, [rows, 2] in float64."""
        share, partner = pairs(rng, self.alpha, rows)
        turn = rng.integers(self.places, ()) == self.place
        shares = torch.where(turn, share, 1.0)[..., None].expand(partner.shape)
        return torch.stack([shares, partner.double()], -1)

    def idle(self, noise: Tensor) -> Tensor:
        share, partner = noise.unbind(-1)
        return torch.stack([torch.ones_like(share), partner], -1)

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and self.noise.ndim):  # nor before its first draw
            return self.note(x)
        axis = self.noise.ndim - 2  # of the rows: 1 in a stack
        noise = self.noise.view(*self.noise.shape, *(1 for _ in x.shape[axis + 1 :]))
        share, partner = noise.unbind(axis + 1)
        return mixed(x, share, x.take_along_dim(partner.long(), axis))


@dataclass(frozen=True)
class ManifoldMixup(
    Regularizer,
    kind="input",
    neutral={"alpha": 0.0},
    provides=("soft targets", "hidden rows that are mixed"),
    refuses=("rows of several members",),
    mixes=True,
):
    """Mix the rows at one layer: l * h + (1 - l) * h of another row, l ~ Beta(alpha, alpha).

    In each step the layer is drawn uniformly among the inputs and the outputs of the hidden blocks;
    at the inputs it is `mixup`. Targets are mixed as h is, with one l and one permutation a batch.
    Not with `batch_ensemble`: it would mix hidden values of different members.
    Beside `mixup` or `cutmix` each batch is the turn of one of them, drawn with equal chances.

    Helps: as mixup does, and where mixed inputs make no sense (categories, positions) more than it;
    it flattens the hidden representation of each class and evens out confidence between them.

    Costs: one permuted copy of every block's outputs, next to nothing.

    Args:
        alpha: of the Beta distribution, >= 0; 0 mixes nothing, 1 mixes uniformly.

    Raises:
        ValueError: for a negative number.
        NotApplicable: for a model without slots for the layers.

    Reference:
        V. Verma et al., Manifold mixup: better representations by interpolating hidden states,
        ICML 2019, section 2. https://arxiv.org/abs/1806.05236
    """

    alpha: Annotated[float, Range(0)]

    def build(self, model: nn.Module) -> nn.Module:
        slots = [inputs(model), *(block.dropout for block in blocks(model).values())]
        for place, slot in enumerate(slots):
            slot.append(Mixing(self.alpha, place, len(slots)))
        return model

    def batch(self, step: Step, batch: Batch) -> Batch:
        share, partner = pairs(step.shared, self.alpha, len(batch.targets))
        return mixed_targets(batch, share, partner)
