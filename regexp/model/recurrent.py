"""Recurrent layers that are written out, so that techniques reach the state between two steps.

`nn.LSTM` and `nn.GRU` hide it, and `torch.vmap` cannot lift them. These have the parameters, the
order of gates and the outputs of torch's, and two slots. Where what stands in the slots changes
nothing, an LSTM goes by torch's own kernel (`regexp.model.fused_lstm`).
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from regexp.model.fused_lstm import fused_lstm, is_fused
from regexp.model.layers import modules_of
from regexp.model.noise import Noise


class Recurrent(nn.Module):
    """One recurrent layer over sequences, from a state of zeros (`nn.LSTM`, `nn.GRU`).

    LSTM, at each time (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000):

        i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        h = sigmoid(o) * tanh(c)

    GRU, at each time, with the reset gate after the product as in torch and cuDNN (Cho et al. 2014
    have it before):

        r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh)
        n = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h = (1 - z) * n + z * h

    Args:
        kind: `lstm` or `gru`.
        inputs: numbers at each time.
        features: numbers in the state.

    Attributes:
        weight_ih, weight_hh, bias_ih, bias_hh: as in `nn.LSTMCell` and `nn.GRUCell`, also in their
            initial values: uniform in +-1 / sqrt(features).
        state: a slot, empty; what stands in it is applied to h [rows, features] where h enters the
            product with W_hh, and only there.
        carry: a slot, empty; each module of it is called at each time as
            `h, c = module(new=(h, c), old=(h_before, c_before), time=t)`; c is None in a GRU.

    Raises:
        ValueError: for another kind, or sizes below 1.

    Reference:
        Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735;
        Cho et al. 2014, https://arxiv.org/abs/1406.1078
    """

    broadcasts: ClassVar[bool] = True
    gates: ClassVar[dict[str, int]] = {"lstm": 4, "gru": 3}

    def __init__(self, kind: str, inputs: int, features: int) -> None:
        if kind not in self.gates:
            raise ValueError(f"model.kind: expected one of {', '.join(self.gates)}, got {kind!r}")
        if min(inputs, features) < 1:
            raise ValueError(
                f"a recurrent layer needs sizes >= 1, got {inputs} inputs and {features} features"
            )
        super().__init__()
        self.kind = kind
        self.inputs = inputs
        self.features = features
        rows = self.gates[kind] * features
        self.weight_ih = nn.Parameter(torch.empty(rows, inputs))
        self.weight_hh = nn.Parameter(torch.empty(rows, features))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.state = nn.Sequential()
        self.carry = nn.Sequential()  # as all slots are; its modules are called one by one
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the parameters anew, as torch's layers do."""
        bound = 1 / math.sqrt(self.features)
        for parameter in self.parameters(recurse=False):
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """The states h at all times: [..., rows, time, inputs] -> [..., rows, time, features]."""
        weights = self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh  # may be computed
        if self.kind != "lstm" or not is_fused(x, *weights):
            return self._unrolled(x, *weights)
        if x.ndim == 3:
            return fused_lstm(x, *weights) if self._is_silent() else self._unrolled(x, *weights)
        # by the run, so that one whose techniques change nothing is as it is without them
        silent = [self._is_silent(run) for run in range(len(x))]
        unrolled = x if all(silent) else self._unrolled(x, *weights)
        each = zip(silent, unrolled, x, *weights, strict=True)
        return torch.stack([fused_lstm(*own) if fused else h for fused, h, *own in each])

    def _is_silent(self, run: int | None = None) -> bool:
        """Whether nothing in the slots changes anything of a run, of all if there is no axis."""
        slots = [*self.state, *self.carry]
        return all(
            # what is to draw and knows no shape yet is called to note it
            isinstance(one, Noise)
            and (not one.training or bool(one.shape and not one.schedules))
            and one.is_silent(run)
            for one in slots
        )

    def _unrolled(
        self, x: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
    ) -> Tensor:
        """`forward` time by time, with what stands in the slots."""
        rows, times, _ = x.shape[-3:]
        h = x.new_zeros(*x.shape[:-2], self.features)
        c = torch.zeros_like(h) if self.kind == "lstm" else None
        bias = bias_ih if c is None else bias_ih + bias_hh
        # all times in one product, with each time's part of it in one piece of memory
        flat = x.transpose(-3, -2).flatten(-3, -2)
        entering = affine(bias.unsqueeze(-2), flat, weight_ih.mT)
        inner, weight = bias_hh.unsqueeze(-2), weight_hh.mT
        states = []
        for time, part in enumerate(entering.unflatten(-2, (times, rows)).unbind(-3)):
            old = h, c
            entry = self.state(h) if len(self.state) else h
            if c is None:
                h = gru_cell(part, affine(inner, entry, weight), h)
            else:
                h, c = lstm_cell(affine(part, entry, weight), c)
            for module in self.carry:
                h, c = module(new=(h, c), old=old, time=time)
            states.append(h)
        return torch.stack(states, -2)


def affine(bias: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """bias + x @ weight in one kernel: [..., rows, a] and [..., a, b] -> [..., rows, b]."""
    product = torch.addmm if x.ndim == 2 else torch.baddbmm
    return product(bias, x, weight)


def lstm_cell(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The new h and c of `gates` [..., 4 * features] and the old c [..., features]."""
    i, f, g, o = gates.chunk(4, -1)
    c = torch.addcmul(i.sigmoid() * g.tanh(), f.sigmoid(), c)
    return o.sigmoid() * c.tanh(), c


def gru_cell(entering: Tensor, recurrent: Tensor, h: Tensor) -> Tensor:
    """The new h of what inputs and the old h give, [..., 3 * features] each, and the old h."""
    sizes = [2 * h.shape[-1], h.shape[-1]]
    gates, candidate = entering.split(sizes, -1)
    more_gates, more_candidate = recurrent.split(sizes, -1)
    r, z = (gates + more_gates).sigmoid().chunk(2, -1)
    n = torch.addcmul(candidate, r, more_candidate).tanh()
    return torch.addcmul(n, z, h - n)


def recurrents(model: nn.Module) -> dict[str, Recurrent]:
    """The recurrent layers of `model`, by name, from inputs to outputs.

    Raises:
        NotApplicable: if there is none.
    """
    return modules_of(
        model,
        Recurrent,
        "regexp.model.recurrent.Recurrent, so there is no state to work on",
        "use model=lstm or model=gru",
    )
