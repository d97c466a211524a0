"""EMA: torch.optim.swa_utils.AveragedModel with TensorFlow's warm-up, and the shares by numpy; by
half-life: pandas' ewm(halflife=...).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from regexp.regularizer.base import Course
from tests.support import BY_NAME, make_step, technique


def averaged(ema, path):
    """The average after each state of `path`, from another state at the start."""
    memory = ema.init({"w": torch.full_like(path[0], 99.0)}, BY_NAME)
    given = []
    for index, value in enumerate(path):
        memory = ema.track(make_step(index, memory=memory), {"w": value})
        given.append(ema.weights(memory, {"w": value})["w"])
    return given


@pytest.fixture
def path():
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(120, 6, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.9, 0.999])
def test_is_torchs_with_a_warm_up(path, decay):
    def average(a, w, count):
        d = torch.clamp((1 + count) / (10 + count), max=decay)
        return d * a + (1 - d) * w

    model = nn.Linear(6, 1, bias=False).double()
    torchs = AveragedModel(model, avg_fn=average)
    for value, ours in zip(path, averaged(technique("ema", decay=decay), path), strict=True):
        with torch.no_grad():
            model.weight.copy_(value)
        torchs.update_parameters(model)
        # torch counts in float32
        torch.testing.assert_close(ours, next(torchs.parameters())[0].detach(), rtol=0, atol=1e-6)


def test_after_the_warm_up_it_is_torchs(path):
    """At 0.9 the warm-up ends after 80 steps: (1 + 80) / (10 + 80)."""
    model = nn.Linear(6, 1, bias=False).double()
    torchs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    ours = averaged(technique("ema", decay=0.9), path)
    with torch.no_grad():
        model.weight.copy_(ours[79])
    torchs.update_parameters(model)
    for value, mine in zip(path[80:], ours[80:], strict=True):
        with torch.no_grad():
            model.weight.copy_(value)
        torchs.update_parameters(model)
        torch.testing.assert_close(mine, next(torchs.parameters())[0].detach(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("decay", [0.8, 0.9999])
def test_shares_of_the_steps(path, decay):
    """That of each step, and their mean age: with no bound about a tenth of the steps so far."""
    bounds = [0.0, *(min(decay, (1 + t) / (10 + t)) for t in range(1, len(path)))]
    shares = [(1 - bounds[t]) * np.prod(bounds[t + 1 :]) for t in range(len(path))]
    assert sum(shares) == pytest.approx(1)
    ours = averaged(technique("ema", decay=decay), path)[-1]
    expected = np.tensordot(shares, np.stack([value.numpy() for value in path]), 1)
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=1e-14)
    age = float(np.dot(shares, range(len(path) - 1, -1, -1)))
    assert age == pytest.approx(len(path) / 10 if decay > 0.9 else 4, rel=0.1)


@pytest.mark.parametrize("half_life", [0.001, 0.05, 0.3, 1.0])
def test_by_half_life_it_is_pandas(path, half_life):
    """Runs have 100 steps here."""
    ours = torch.stack(averaged(technique("ema_half_life", half_life=half_life), path[:100]))
    frame = pd.DataFrame(torch.stack(path[:100]).numpy())
    expected = frame.ewm(halflife=half_life * 100).mean()
    np.testing.assert_allclose(ours.numpy(), expected.to_numpy(), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("half_life", "told"), [(0.009, 1), (0.01, 0)])
def test_a_half_life_below_a_step_is_told(half_life, told):
    course = Course([50, 100], list)
    assert len(list(technique("ema_half_life", half_life=half_life).advise(course))) == told


@pytest.mark.parametrize("name", ["ema", "ema_half_life"])
def test_the_first_step_copies(name, path):
    assert torch.equal(averaged(technique(name), path)[0], path[0])


def test_buffers_are_those_of_training(path):
    ema = technique("ema", decay=0.9)
    memory = ema.init({"w": path[0], "count": torch.tensor(0.0)}, {"w": "weight"})
    for index, value in enumerate(path[:5]):
        state = {"w": value, "count": torch.tensor(float(index))}
        memory = ema.track(make_step(index, memory=memory), state)
    evaluated = ema.weights(memory, state)
    assert float(evaluated["count"]) == 4
    assert not torch.equal(evaluated["w"], path[4])
