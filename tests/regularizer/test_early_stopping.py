"""Early stopping: Keras's traces, and what it does about losses that are not numbers."""

from __future__ import annotations

import math

import pytest
import torch

from tests.support import BY_NAME, make_evaluation, technique

NAN, INF = math.nan, math.inf
TRACE = [1, 0.9, 0.895, 0.80, 0.799, 0.81, 0.80, 0.798, 0.82, 0.70, 0.71]


def follow(stopping, losses):
    """The epoch, from 0, after which it stops (None: never), and the one whose weights it gives.

    The weights of an epoch are its number; those at the start are -1.
    """
    memory = stopping.init({"w": torch.tensor([-1.0])}, BY_NAME)
    state = {"w": torch.tensor([-1.0])}
    for epoch, loss in enumerate(losses):
        state = {"w": torch.tensor([float(epoch)])}
        memory = stopping.observe(
            memory, make_evaluation({"loss": torch.tensor(float(loss))}, state)
        )
        if stopping.stop(memory):
            return epoch, int(stopping.restore(memory, state)["w"])
    return None, int(stopping.restore(memory, state)["w"])


@pytest.mark.parametrize(
    ("patience", "min_delta", "start", "expected"),
    [
        (2, 0, 0, (6, 4)),
        (2, 0.01, 0, (5, 3)),  # although the loss of epoch 4 is lower
        (3, 0, 0, (None, 9)),  # restores at the last epoch too
        (3, 0.01, 0, (6, 3)),
        (2, 0, 4, (6, 4)),
    ],
)
def test_keras_traces(patience, min_delta, start, expected):
    stopping = technique(
        "early_stopping", patience=patience, min_delta=min_delta, start_from_epoch=start
    )
    assert follow(stopping, TRACE) == expected


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([NAN, 0.9, 0.8, 0.85, 0.85], (4, 2)),  # a NaN first is not the best
        ([1, NAN, 0.9, 0.95, NAN], (4, 2)),
        ([NAN, NAN, NAN], (1, 1)),  # nothing was best: the weights stay
        ([INF, INF, 1.0], (1, 1)),
        ([-1, -2, -1.5, -1.5], (3, 1)),
    ],
)
def test_losses_that_are_no_numbers_improve_nothing(losses, expected):
    assert follow(technique("early_stopping", patience=2), losses) == expected


@pytest.mark.parametrize("patience", [0, 1])
def test_no_patience_ends_at_the_first_epoch_that_does_not_improve(patience):
    assert follow(technique("early_stopping", patience=patience), TRACE) == (5, 4)
    assert follow(technique("early_stopping", patience=patience), [NAN, 1.0, 2.0]) == (2, 1)


def test_an_equal_loss_is_no_improvement():
    assert follow(technique("early_stopping", patience=2), [1, 1, 1]) == (2, 0)


def test_null_never_stops():
    losses = [0.5] + [1] * 50
    assert follow(technique("early_stopping", patience=None), losses) == (None, 0)


def test_without_restoring_the_last_weights_stay():
    stopping = technique("early_stopping", patience=2, restore_best=False)
    assert follow(stopping, TRACE) == (6, 6)


def test_each_run_of_a_stack_stops_at_its_own_time():
    stopping = technique("early_stopping", patience=2)
    losses = torch.tensor([TRACE, [1.0, 2.0, *[3.0] * 9]])
    memory = torch.vmap(lambda state: stopping.init(state, BY_NAME))({"w": torch.zeros(2, 1)})
    stopped = []
    for epoch in range(len(TRACE)):
        state = {"w": torch.full((2, 1), float(epoch))}
        memory = torch.vmap(stopping.observe)(
            memory, make_evaluation({"loss": losses[:, epoch]}, state)
        )
        stopped.append(torch.vmap(stopping.stop)(memory).tolist())
    assert [row[0] for row in stopped].index(True) == 6
    assert [row[1] for row in stopped].index(True) == 2
