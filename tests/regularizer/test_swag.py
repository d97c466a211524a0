"""SWAG: the moments by numpy, the authors' deviations, and the exact covariance of a draw."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from regexp.random import Rng
from regexp.regularizer.base import PredictionView
from regexp.regularizer.cocktail import Cocktail
from tests.support import BY_NAME, make_data, make_member, make_step, run, technique

RANK = 3


class UnitRng(Rng):
    """Draws that are zero, but for a one at one place of all that is drawn."""

    def __init__(self, place):
        super().__init__(0)
        self.place = place

    def fold(self, *path):
        return UnitRng(self.place)

    def normal(self, shape):
        draw = torch.zeros(shape, dtype=torch.float64)
        if 0 <= self.place < draw.numel():
            draw.view(-1)[self.place] = 1.0
        self.place -= draw.numel()
        return draw


def whole(inputs, state):
    """A network that gives its state: weights and bias in one row."""
    return torch.cat([state["weight"].flatten(), state["bias"]]).unsqueeze(0)


@pytest.fixture
def path():
    """Eight states of a layer with two by two weights and a bias; float64."""
    generator = torch.Generator().manual_seed(0)
    return [
        {name: torch.randn(shape, generator=generator, dtype=torch.float64)
         for name, shape in (("weight", (2, 2)), ("bias", (2,)))}
        for _ in range(8)
    ]  # fmt: skip


def follow(swag, path):
    """The memory after a run whose every step ends an epoch."""
    memory = swag.init(path[0], BY_NAME)
    for index, state in enumerate(path):
        step = replace(make_step(index, memory=memory, ends_epoch=True), steps=len(path))
        memory = swag.track(step, state)
    return memory


def tail(path, start):
    return np.stack([state["weight"].numpy().ravel() for state in path[int(start * len(path)) :]])


@pytest.mark.parametrize("start", [0.0, 0.25])
def test_moments(path, start):
    memory = follow(technique("swag", start=start, rank=RANK), path)
    weights = tail(path, start)
    variance = (memory["squares"]["weight"] / memory["count"]).numpy().ravel()
    np.testing.assert_allclose(memory["mean"]["weight"].numpy().ravel(), weights.mean(0))
    np.testing.assert_allclose(variance, weights.var(0))
    # the authors' columns: each snapshot less the mean of all up to it, the last ones kept
    columns = [weights[i] - weights[: i + 1].mean(0) for i in range(len(weights))][-RANK:]
    ours = memory["deviations"]["weight"].numpy().reshape(RANK, -1)
    np.testing.assert_allclose(ours, columns, atol=1e-15)


@pytest.mark.parametrize(("start", "rank"), [(0.0, RANK), (0.0, 0), (0.75, RANK)])
def test_covariance_of_a_draw(path, start, rank):
    """A draw is mean + A z: the columns of A are the draws of unit vectors; A A' by eq. 1."""
    swag = technique("swag", start=start, rank=rank, samples=1)
    memory = follow(swag, path)
    mean = swag.weights(memory, path[-1])
    center = whole(None, mean)

    def draw(place):
        return swag.predict(memory, PredictionView(mean, whole, torch.zeros(1), UnitRng(place)))[0]

    a = torch.cat([draw(place) - center for place in range(rank + 4)]).numpy().T
    weights = tail(path, start)
    columns = [weights[i] - weights[: i + 1].mean(0) for i in range(len(weights))][-rank:]
    low_rank = np.stack(columns).T
    expected = np.zeros((6, 6))  # nothing of the bias
    expected[:4, :4] = np.diag(weights.var(0))
    if rank:
        expected[:4, :4] += low_rank @ low_rank.T / (low_rank.shape[1] - 1)
        expected /= 2
    np.testing.assert_allclose(a @ a.T, expected, atol=1e-15)
    assert torch.equal(draw(99), center)


def test_draws_differ_and_are_the_same_again(path):
    swag = technique("swag", start=0.0, rank=RANK, samples=4)
    memory = follow(swag, path)
    first, again = (
        swag.predict(memory, PredictionView(path[-1], whole, torch.zeros(1), Rng(0, "test")))
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert len({tuple(row) for row in first[:, 0].tolist()}) == 4


def test_a_run_saves_the_mean_and_is_tested_with_draws():
    data = make_data()
    sgd = partial(torch.optim.SGD, lr=0.1)
    swag = {"swag": technique("swag", start=0.25, rank=2, samples=5)}
    swa = {"swa": technique("swa", start=0.25)}
    (ours,), _ = run([make_member(techniques=swag, optimizer=sgd, data=data)], epochs=8)
    (mean,), _ = run([make_member(techniques=swa, optimizer=sgd, data=data)], epochs=8)
    for name, value in ours.last["weights"].items():
        assert torch.equal(value, mean.last["weights"][name])
    assert ours.metrics["test/loss"] != mean.metrics["test/loss"]


def test_refuses_a_rule_that_goes_back_to_other_weights():
    """The draws would be around the restored mean, with the variance of the run's end."""
    for rule in ("early_stopping", "prechelt"):
        with pytest.raises(ValueError, match="a stopping rule"):
            Cocktail({"swag": technique("swag"), rule: technique(rule)})
