"""Averaged predictions in a stack are those of each run alone, whatever the runs differ in."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from regexp.model.mlp import MLP
from regexp.model.recurrent_network import RecurrentNetwork
from regexp.regularizer.dropout import Dropout
from regexp.regularizer.ema import EMA
from regexp.regularizer.mc_dropout import MCDropout
from regexp.regularizer.snapshot import Snapshot
from regexp.regularizer.zoneout import Zoneout
from tests.support import make_data, make_member, run, stacked_and_alone, technique

SGD = partial(torch.optim.SGD, lr=0.05)


def assert_alike(make) -> None:
    for result, metrics, alone, expected in stacked_and_alone(make, range(3)):
        assert result.metrics["test/loss"] == pytest.approx(alone.metrics["test/loss"], rel=1e-9)
        for ours, theirs in zip(metrics, expected, strict=True):
            assert ours["val/loss"] == pytest.approx(theirs["val/loss"], rel=1e-9)


def snapshot() -> Snapshot:
    return Snapshot(snapshots=2)


class Shuffled(nn.Module):
    """A network that reads its inputs in an order of its own: a buffer of whole numbers."""

    order: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("order", torch.randperm(5))
        self.body = MLP((5,), 3, [8], "relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x[:, self.order])


def test_buffers_of_whole_numbers_are_each_runs_own():
    assert_alike(lambda seed: make_member(seed, {"snapshot": snapshot()}, SGD, model=Shuffled))


def test_numbers_that_evaluation_uses_are_each_runs_own():
    def make(seed: int):
        zoneout = Zoneout(hidden=[0.0, 0.5, 0.9][seed], cell=0.1)
        model = lambda: RecurrentNetwork((5, 1), 3, "lstm", [4], [], "relu")
        data = make_data(seed, shape=(5, 1))
        techniques = {"zoneout": zoneout, "snapshot": snapshot()}
        return make_member(seed, techniques, SGD, model=model, data=data)

    assert_alike(make)


def test_runs_that_end_first_are_predicted_with_their_own_numbers():
    """A run's prediction passes layers that have a number for each run of the stack."""

    def make(seed: int):
        shares, stops = [0.2, 0.3, 0.4][seed], [0.3, 1.0, 0.6][seed]
        techniques = {
            "drop_connect": technique("drop_connect", p=shares),
            "zoneout": Zoneout(hidden=shares, cell=0.1),
            "budget": technique("budget", share=stops),
        }
        model = lambda: RecurrentNetwork((5, 1), 3, "lstm", [4], [], "relu")
        return make_member(seed, techniques, SGD, model=model, data=make_data(seed, shape=(5, 1)))

    assert_alike(make)


class Scaled(nn.Module):
    """A network with a parameter that has no dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(()))
        self.body = MLP((5,), 3, [8], "relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.body(x)


def test_parameters_without_dimension_are_averaged_too():
    """One pass without noise is the plain prediction of the averaged weights."""
    ema = {"dropout": Dropout(hidden=0.0, inputs=None), "ema": EMA(decay=0.9)}
    ((plain,), _), ((ours,), _) = (
        run([make_member(0, techniques, SGD, model=Scaled)], precision="float64")
        for techniques in (ema, ema | {"mc_dropout": MCDropout(samples=3)})
    )
    assert ours.metrics["test/loss"] == pytest.approx(plain.metrics["test/loss"], rel=1e-12)
