"""EMA: torch.optim.swa_utils and the closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

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
    return list(torch.randn(40, 6, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize("decay", [0.3, 0.9, 0.999])
def test_is_torchs(path, decay):
    model = nn.Linear(6, 1, bias=False).double()
    torchs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    for value, ours in zip(path, averaged(technique("ema", decay=decay), path), strict=True):
        with torch.no_grad():
            model.weight.copy_(value)
        torchs.update_parameters(model)
        torch.testing.assert_close(ours, next(torchs.parameters())[0].detach(), rtol=0, atol=1e-15)


def test_closed_form(path):
    decay, last = 0.9, len(path) - 1
    shares = [decay**last] + [(1 - decay) * decay ** (last - t) for t in range(1, last + 1)]
    expected = sum(share * value for share, value in zip(shares, path, strict=True))
    ours = averaged(technique("ema", decay=decay), path)[-1]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-14)


def test_the_first_step_copies(path):
    assert torch.equal(averaged(technique("ema"), path)[0], path[0])
