"""Prechelt's criteria: the paper's definitions written out over whole histories, in numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.support import BY_NAME, make_evaluation, technique

GENERATOR = np.random.default_rng(0)
# Falls, then rises slowly, with noise: so that criteria stop at different epochs.
EPOCHS = np.arange(60)
HISTORIES = [
    (
        0.5 + np.exp(-EPOCHS / 6) + 0.004 * EPOCHS * rise + 0.02 * GENERATOR.random(60),
        0.3 + np.exp(-EPOCHS / 8) + 0.01 * GENERATOR.random(60),
    )
    for rise in (0.5, 1, 3)
]


def follow(stopping, validation, training):
    """The epoch, from 1, after which it stops (None: never), and the one whose weights it gives.

    The weights of an epoch are its number; those at the start are 0.
    """
    state = {"w": torch.tensor([0.0])}
    memory = stopping.init(state, BY_NAME)
    for epoch, (loss, train_loss) in enumerate(zip(validation, training, strict=True), 1):
        state = {"w": torch.tensor([float(epoch)])}
        metrics = {"loss": torch.tensor(loss), "train_loss": torch.tensor(train_loss)}
        memory = stopping.observe(memory, make_evaluation(metrics, state))
        if stopping.stop(memory):
            return epoch, int(stopping.restore(memory, state)["w"])
    return None, int(stopping.restore(memory, state)["w"])


def generalization_loss(validation, t):
    return 100 * (validation[t - 1] / validation[:t].min() - 1)


def gl(validation, training, alpha):
    """The first epoch t, from 1, with GL(t) > alpha."""
    return next((t for t in range(1, 61) if generalization_loss(validation, t) > alpha), None)


def pq(validation, training, alpha, k):
    """The first end of a strip with GL(t) / P_k(t) > alpha."""
    for t in range(k, 61, k):
        strip = training[t - k : t]
        progress = 1000 * (strip.sum() / (k * strip.min()) - 1)
        if generalization_loss(validation, t) / progress > alpha:
            return t
    return None


def up(validation, training, s, k):
    """UP_1 stops at an end t with E(t) > E(t - k); UP_s where UP_(s-1) did a strip before too."""

    def stops(t, s):
        higher = t - k >= k and validation[t - 1] > validation[t - k - 1]
        return higher and (s == 1 or stops(t - k, s - 1))

    return next((t for t in range(k, 61, k) if stops(t, s)), None)


@pytest.mark.parametrize("alpha", [0.5, 2.0, 5.0, 1000.0])
@pytest.mark.parametrize("history", HISTORIES)
def test_generalization_loss(history, alpha):
    stopping = technique("prechelt", criterion="GL", alpha=alpha)
    assert follow(stopping, *history)[0] == gl(history[0], history[1], alpha)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("history", HISTORIES)
def test_quotient_of_generalization_loss_and_progress(history, alpha, k):
    stopping = technique("prechelt", criterion="PQ", alpha=alpha, strip=k)
    expected = (
        pq(history[0], history[1], alpha, k) if k > 1 else None
    )  # of one epoch the progress is 0: x / 0
    if k == 1:
        best = np.minimum.accumulate(history[0])
        expected = next(t for t in range(1, 61) if history[0][t - 1] > best[t - 1])
    assert follow(stopping, *history)[0] == expected


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("s", [1, 2, 3])
@pytest.mark.parametrize("history", HISTORIES)
def test_successive_rises(history, s, k):
    stopping = technique("prechelt", criterion="UP", rises=s, strip=k)
    assert follow(stopping, *history)[0] == up(history[0], history[1], s, k)


def test_the_histories_tell_criteria_apart():
    stops = {(gl(*h, 2.0), pq(*h, 0.5, 5), up(*h, 2, 5)) for h in HISTORIES}
    assert len(stops) == len(HISTORIES)
    assert any(len(set(each)) == 3 and None not in each for each in stops)


@pytest.mark.parametrize("criterion", ["GL", "PQ", "UP"])
def test_ends_with_the_weights_of_the_least_validation_loss(criterion):
    validation, training = HISTORIES[2]
    stopped, restored = follow(
        technique("prechelt", criterion=criterion, alpha=1.0, rises=2), validation, training
    )
    assert restored == 1 + validation[:stopped].argmin() < stopped
    plain = technique("prechelt", criterion=criterion, alpha=1.0, rises=2, restore_best=False)
    assert follow(plain, validation, training) == (stopped, stopped)


@pytest.mark.parametrize("criterion", ["GL", "PQ", "UP"])
def test_a_loss_that_is_no_number_stops_nothing(criterion):
    stopping = technique("prechelt", criterion=criterion, alpha=0.0, rises=1, strip=2)
    assert follow(stopping, [math.nan] * 8, [1.0] * 8) == (None, 8)  # nothing was best
    assert follow(stopping, [1.0, 0.9, math.nan, math.nan], [1.0] * 4) == (None, 2)


def test_an_infinite_threshold_never_stops():
    stopping = technique("prechelt", alpha=math.inf)
    assert follow(stopping, *HISTORIES[2])[0] is None


def test_each_run_of_a_stack_stops_at_its_own_time():
    stopping = technique("prechelt", criterion="PQ", alpha=0.5)
    losses = torch.tensor(np.array(HISTORIES))  # [runs, kind, epochs]
    memory = torch.vmap(lambda state: stopping.init(state, BY_NAME))({"w": torch.zeros(3, 1)})
    stops = []
    for epoch in range(60):
        metrics = {"loss": losses[:, 0, epoch], "train_loss": losses[:, 1, epoch]}
        memory = torch.vmap(stopping.observe)(
            memory, make_evaluation(metrics, {"w": torch.zeros(3, 1)})
        )
        stops.append(torch.vmap(stopping.stop)(memory))
    first = [1 + column.index(True) if True in column else None
             for column in torch.stack(stops, 1).tolist()]  # fmt: skip
    assert first == [pq(*history, 0.5, 5) for history in HISTORIES]
