"""Lookahead: the algorithm by hand, on gradient descent and on a real optimizer's steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.support import BY_NAME, make_step, technique


def follow(lookahead, fast, optimizer_step, steps):
    """Fast weights after each step, and those that are evaluated then."""
    memory = lookahead.init({"w": fast}, BY_NAME)
    path = []
    for index in range(steps):
        step = make_step(index, memory=memory)
        fast = lookahead.constrain(step, {"w": optimizer_step(fast)}, {"w": fast})["w"]
        memory = lookahead.track(step, {"w": fast})
        path.append((fast, lookahead.weights(memory, {"w": fast})["w"]))
    return path


@pytest.fixture
def start():
    return torch.randn(4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize(("k", "alpha"), [(5, 0.5), (3, 0.8), (1, 0.2)])
def test_algorithm_by_hand(start, k, alpha):
    """Gradient descent on |w|^2/2 shrinks by .9 a step; lookahead by 1 + alpha(.9^k - 1) a sync."""
    ours = follow(technique("lookahead", k=k, alpha=alpha), start, lambda w: 0.9 * w, 17)
    for index, (fast, slow) in enumerate(ours):
        syncs, since = divmod(index + 1, k)
        expected = start * (1 + alpha * (0.9**k - 1)) ** syncs
        torch.testing.assert_close(slow, expected, rtol=0, atol=1e-15)
        torch.testing.assert_close(fast, expected * 0.9**since, rtol=0, atol=1e-15)


def test_optimizers_state_is_kept_across_synchronizations(start):
    """With momentum: set the parameter of a torch optimizer back by hand."""

    def momentum(parameter):
        optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)

        def step(w):
            with torch.no_grad():
                parameter.copy_(w)
            parameter.grad = parameter.detach().clone()
            optimizer.step()
            return parameter.detach().clone()

        return step

    step_of = momentum(nn.Parameter(start.clone()))
    ours = follow(technique("lookahead", k=4, alpha=0.5), start, step_of, 12)

    fast, slow, velocity = start.clone(), start.clone(), torch.zeros(4, dtype=torch.float64)
    for index in range(12):
        velocity = 0.9 * velocity + fast
        fast = fast - 0.1 * velocity
        if (index + 1) % 4 == 0:
            slow = fast = slow + 0.5 * (fast - slow)
        torch.testing.assert_close(ours[index][0], fast, rtol=0, atol=1e-14)
        torch.testing.assert_close(ours[index][1], slow, rtol=0, atol=1e-14)


def test_before_the_first_synchronization_the_first_weights_are_evaluated(start):
    ours = follow(technique("lookahead", k=5), start, lambda w: 0.9 * w, 4)
    assert all(torch.equal(slow, start) for _, slow in ours)


def test_the_last_step_synchronizes_whatever_its_number(start):
    """Else a run of fewer than k steps would end with its initial weights; 100 = 33 * 3 + 1."""
    ours = follow(technique("lookahead", k=3), start, lambda w: 0.99 * w, 100)
    expected = start * ((1 + 0.99**3) / 2) ** 33 * (1 + 0.99) / 2
    for last in ours[-1]:
        torch.testing.assert_close(last, expected, rtol=1e-14, atol=0)
