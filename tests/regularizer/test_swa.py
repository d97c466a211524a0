"""SWA: the mean of the snapshots by hand, and torch.optim.swa_utils.AveragedModel."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from tests.support import BY_NAME, make_step, technique

EPOCHS, PER_EPOCH = 12, 5
STEPS = EPOCHS * PER_EPOCH


def evaluated(swa, path):
    """What is evaluated after each epoch of a run whose steps end in the states of `path`."""
    memory = swa.init({"w": torch.full_like(path[0], 99.0)}, BY_NAME)
    given = []
    for index, value in enumerate(path):
        ends = (index + 1) % PER_EPOCH == 0
        step = replace(make_step(index, memory=memory, ends_epoch=ends), steps=len(path))
        memory = swa.track(step, {"w": value})
        if ends:
            given.append(swa.weights(memory, {"w": value})["w"])
    return given


@pytest.fixture
def path():
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(STEPS, 6, generator=generator, dtype=torch.float64))


@pytest.mark.parametrize(
    ("start", "first"), [(0.0, 1), (0.5, 7), (0.74, 9), (0.75, 10), (0.95, 12)]
)
def test_is_the_mean_of_the_epochs_ends_and_torchs(path, start, first):
    """`first`: the first epoch, from 1, that ends after the share `start` of the steps."""
    ours = evaluated(technique("swa", start=start), path)
    ends = path[PER_EPOCH - 1 :: PER_EPOCH]
    model = nn.Linear(6, 1, bias=False).double()
    torchs = AveragedModel(model)
    for epoch, value in enumerate(ends, 1):
        if epoch < first:
            assert torch.equal(ours[epoch - 1], value)
            continue
        mean = torch.stack(ends[first - 1 : epoch]).mean(0)
        torch.testing.assert_close(ours[epoch - 1], mean, rtol=0, atol=1e-15)
        with torch.no_grad():
            model.weight.copy_(value)
        torchs.update_parameters(model)
        same = next(torchs.parameters())[0].detach()
        torch.testing.assert_close(ours[epoch - 1], same, rtol=0, atol=1e-15)


def test_rounding_of_the_share_adds_no_epoch():
    """0.29 * 100 is less than 29: the epoch that ends at step 29 is not in the tail."""
    swa = technique("swa", start=0.29)
    memory = swa.init({"w": torch.zeros(1)}, BY_NAME)
    for index, expected in ((28, 0), (29, 1)):
        step = make_step(index, memory=memory, ends_epoch=True)
        assert swa.track(step, {"w": torch.ones(1)})["count"] == expected


def test_runs_of_a_stack_begin_their_tails_at_their_own_times():
    kind = type(technique("swa"))
    states = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(0))

    def run(start, own):
        swa = kind(start)
        memory = swa.init({"w": own[0]}, BY_NAME)
        for index, value in enumerate(own.unbind()):
            step = replace(make_step(index, memory=memory, ends_epoch=True), steps=len(own))
            memory = swa.track(step, {"w": value})
        return swa.weights(memory, {"w": own[-1]})["w"]

    starts = torch.tensor([0.0, 0.5], dtype=torch.float64)
    ours = torch.vmap(run, in_dims=(0, 1))(starts, states)
    torch.testing.assert_close(ours[0], states[:, 0].mean(0))
    torch.testing.assert_close(ours[1], states[2:, 1].mean(0))
