"""Zoneout of recurrent networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from regexp.regularizer.base import Noise, Range, Regularizer, Rng, recurrents

State = tuple[Tensor, Tensor | None]
"""h and c, each [rows, features]; c is None in a GRU."""


@dataclass(frozen=True)
class Zoneout(
    Regularizer,
    kind="layer",
    constant=("hidden", "cell"),
    neutral={"hidden": 0.0, "cell": 0.0},
    data=("series",),
):
    """Let units of the recurrent state keep their old value at random.

    h_t <- mask * h_(t-1) + (1 - mask) * h_t in training, with a mask that is 1 with probability z,
    new for every time, row and unit; the same for the cell of an LSTM with a mask and a rate of
    its own. In evaluation its expectation: h_t <- z * h_(t-1) + (1 - z) * h_t.

    Helps:
        Recurrent networks, whose information and gradients pass the kept units unchanged through
        time, where dropout would cut them.

    Costs:
        One random bit and one selection a time, unit and state; small beside the layer's products.

    Args:
        hidden: probability z that a unit of h keeps its value, in [0, 1).
        cell: the same for the cell c of an LSTM, in [0, 1); a GRU has none.

    Raises:
        ValueError: for a probability out of its range.
        NotApplicable: for a model without recurrent layers.

    Reference:
        D. Krueger et al., Zoneout: regularizing RNNs by randomly preserving hidden activations,
        ICLR 2017, eq. 3-5. https://arxiv.org/abs/1606.01305
    """

    hidden: Annotated[float, Range(0, 1, open_high=True)]
    cell: Annotated[float, Range(0, 1, open_high=True)]

    def build(self, model: nn.Module) -> nn.Module:
        for layer in recurrents(model).values():
            layer.carry.append(ZoneoutLayer(self.hidden, self.cell))
        return model


class ZoneoutLayer(Noise):
    """Mixes the new state of a recurrent layer with the old one.

    Args:
        hidden: probability that a unit of h keeps its value.
        cell: the same for c.
    """

    numbers = ("hidden", "cell")

    def __init__(self, hidden: float, cell: float) -> None:
        super().__init__()
        self.hidden = hidden
        self.cell = cell

    def draw(self, rng: Rng, rows: int) -> Tensor:
        """Which units of h and of c keep their value, [rows, time, features, 2]."""
        assert self.shape is not None, "call the network once before drawing its noise"
        shape = (rows, *self.shape)
        return torch.stack([rng.keep(shape, p) == 0 for p in (self.hidden, self.cell)], -1)

    def idle(self, noise: Tensor) -> Tensor:
        return torch.zeros_like(noise)

    def is_silent(self, run: int | None = None) -> bool:
        return self.number("hidden", run) == self.number("cell", run) == 0

    def forward(self, new: State, old: State, time: int) -> State:
        (h, c), (old_h, old_c) = new, old
        if not self.training or not self.noise.ndim:  # nothing drawn yet
            self._note_time(h, time)
            mixed = expected(h, old_h, self.hidden)
            return mixed, None if c is None or old_c is None else expected(c, old_c, self.cell)
        keeps_h, keeps_c = self.noise[..., time, :, :].unbind(-1)
        mixed = torch.where(keeps_h, old_h, h)
        return mixed, None if c is None or old_c is None else torch.where(keeps_c, old_c, c)

    def _note_time(self, h: Tensor, time: int) -> None:
        if self.shape is None or self.shape[0] <= time:
            self.shape = torch.Size((time + 1, h.shape[-1]))


def expected(new: Tensor, old: Tensor, p: float | Tensor) -> Tensor:
    """p * old + (1 - p) * new; p may be [runs] where new and old are [runs, rows, features]."""
    if isinstance(p, Tensor):
        p = p.to(new).view(-1, *(1 for _ in new.shape[1:])) if p.ndim else p.to(new)
    return p * old + (1 - p) * new
