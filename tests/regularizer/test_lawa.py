"""LAWA: the rolling mean of the ends of epochs by pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from regexp.regularizer.base import Course
from tests.support import BY_NAME, make_step, technique

EPOCH = 3


@pytest.fixture
def path():
    """The weights after each step of seven epochs."""
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(7 * EPOCH, 4, generator=generator, dtype=torch.float64))


def evaluated(lawa, path):
    """What is evaluated after each step of `path`."""
    memory = lawa.init({"w": torch.full_like(path[0], 99.0)}, BY_NAME)
    given = []
    for index, value in enumerate(path):
        ends = (index + 1) % EPOCH == 0
        memory = lawa.track(make_step(index, memory=memory, ends_epoch=ends), {"w": value})
        given.append(lawa.weights(memory, {"w": value})["w"])
    return given


@pytest.mark.parametrize("k", [1, 2, 6, 50])
def test_is_the_rolling_mean_of_the_ends_of_epochs(path, k):
    ours = torch.stack(evaluated(technique("lawa", k=k), path)[EPOCH - 1 :: EPOCH])
    ends = pd.DataFrame(torch.stack(path[EPOCH - 1 :: EPOCH]).numpy())
    expected = ends.rolling(k, min_periods=1).mean().to_numpy()
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-14)


def test_before_the_first_end_the_weights_themselves_are_evaluated(path):
    given = evaluated(technique("lawa"), path)
    assert all(torch.equal(given[index], path[index]) for index in range(EPOCH))


def test_buffers_are_those_of_training(path):
    lawa = technique("lawa", k=2)
    memory = lawa.init({"w": path[0], "seen": torch.tensor(0.0)}, {"w": "weight"})
    for index in range(2):
        state = {"w": path[index], "seen": torch.tensor(float(index))}
        memory = lawa.track(make_step(index, memory=memory, ends_epoch=True), state)
    assert float(lawa.weights(memory, state)["seen"]) == 1


@pytest.mark.parametrize(("k", "told"), [(10, 0), (11, 1)])
def test_more_than_the_epochs_of_a_run_are_told(k, told):
    course = Course([5 * epoch for epoch in range(1, 11)], list)
    assert len(list(technique("lawa", k=k).advise(course))) == told
