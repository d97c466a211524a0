"""Snapshot: the mean probability of the cycles' ends, the cycles being those of torch's SGDR."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.func import functional_call

from regexp.metrics.ensemble import mean_prediction
from regexp.random import Rng
from regexp.regularizer.base import PredictionView
from regexp.scheduler.lengths import share
from tests.support import BY_NAME, make_data, make_member, make_step, run, technique


def taken(snapshot, path):
    """The memory after each step of a run through the states of `path`."""
    memory, memories = snapshot.init({"w": path[0]}, BY_NAME), []
    for index, value in enumerate(path):
        step = replace(make_step(index, memory=memory), steps=len(path))
        if snapshot.keeps(step):
            memory = snapshot.keep(step, {"w": value})
        memories.append(memory)
    return memories


@pytest.mark.parametrize(("steps", "snapshots"), [(20, 5), (21, 5), (12, 5), (7, 2), (3, 10)])
def test_cycles_end_where_those_of_the_scheduler_do(steps, snapshots):
    """Just before the rate jumps up again, and at the end of the run."""
    path = [torch.tensor([float(index)]) for index in range(steps)]
    final = taken(technique("snapshot", snapshots=snapshots), path)[-1]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    length = share(steps, 1 / snapshots)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, length)
    ends = []
    for index in range(steps):
        before = scheduler.get_last_lr()[0]
        optimizer.step()
        scheduler.step()
        if scheduler.get_last_lr()[0] >= before or index == steps - 1:
            ends.append(float(index))
    assert [float(state["w"]) for state in final.values()] == ends
    assert len(ends) <= snapshots


def test_averages_the_probabilities_of_the_snapshots_so_far():
    snapshot = technique("snapshot", snapshots=3)
    generator = torch.Generator().manual_seed(0)
    path = list(torch.randn(6, 3, 4, generator=generator, dtype=torch.float64))
    inputs = torch.randn(10, 4, generator=generator, dtype=torch.float64)

    def network(inputs, state=None, rng=None):
        return inputs @ state["w"].T

    for index, memory in enumerate(taken(snapshot, path)):
        current = {"w": path[index]}
        outputs = snapshot.predict(memory, PredictionView(current, network, inputs, Rng(0)))
        ours = mean_prediction(outputs, "classification").softmax(-1)
        members = [path[end] for end in (1, 3, 5) if end <= index] or [path[index]]
        expected = sum((inputs @ w.T).softmax(-1) for w in members) / len(members)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-15)


def test_a_run_is_tested_with_its_snapshots():
    """The saved snapshots, loaded into a new network, have the probabilities that were tested."""
    data = make_data()
    members = {"snapshot": technique("snapshot", snapshots=3)}
    (result,), _ = run([make_member(techniques=members, data=data)], epochs=6)
    model = make_member(data=data).model.eval()
    probabilities = []
    for state in result.last["memory"]["snapshot"].values():
        with torch.no_grad():
            probabilities.append(functional_call(model, state, data.test.inputs).softmax(-1))
    assert len(probabilities) == 3
    mean = torch.stack(probabilities).mean(0)
    loss = nn.functional.nll_loss(mean.log(), data.test.targets)
    assert result.metrics["test/loss"] == pytest.approx(float(loss), rel=1e-6)
    alone = nn.functional.nll_loss(probabilities[-1].log(), data.test.targets)
    assert result.metrics["test/loss"] != pytest.approx(float(alone), rel=1e-4)
