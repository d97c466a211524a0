"""Cautious updates: C-AdamW and heavy-ball momentum with the paper's mask, written out by hand."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from regexp.regularizer.base import GradientView
from tests.support import BY_NAME, make_member, make_step, not_called, run, technique

START = torch.tensor([1.0, -2.0, 0.5, 0.3], dtype=torch.float64)
CURVATURE = torch.tensor([1.0, 0.1, 3.0, 0.5], dtype=torch.float64)
RATE, STEPS = 0.3, 40


def follow(optimizer, ours):
    """The weights after each step on a quadratic, of an optimizer whose steps `ours` changes."""
    (parameter,) = optimizer.param_groups[0]["params"]
    memory = ours.init({"w": parameter.detach()}, BY_NAME)
    path = []
    for index in range(STEPS):
        old = {"w": parameter.detach().clone()}
        step = make_step(index, learning_rate=RATE, memory=memory)
        view = GradientView({"w": CURVATURE * old["w"]}, old, not_called)
        gradients, memory = ours.gradient(step, view)
        parameter.grad = gradients["w"]
        optimizer.step()
        parameter.grad.zero_()  # as an optimizer may
        step = make_step(index, learning_rate=RATE, memory=memory)
        new = ours.constrain(step, {"w": parameter.detach().clone()}, old)["w"]
        with torch.no_grad():
            parameter.copy_(new)
        path.append(new)
    return torch.stack(path)


def masked(update, gradient):
    agree = [float(u * g > 0) for u, g in zip(update.tolist(), gradient.tolist(), strict=True)]
    share = max(sum(agree) / len(agree), 1e-3)
    return update * torch.tensor(agree, dtype=torch.float64) / share


def test_is_c_adamw():
    w, mean, square = START, torch.zeros(4).double(), torch.zeros(4).double()
    expected, waited = [], 0
    for t in range(1, STEPS + 1):
        g = CURVATURE * w
        mean, square = 0.9 * mean + 0.1 * g, 0.99 * square + 0.01 * g.square()
        u = mean / (1 - 0.9**t) / ((square / (1 - 0.99**t)).sqrt() + 1e-8)
        waited += int((u * g <= 0).sum())
        w = w - RATE * masked(u, g)
        expected.append(w)
    parameter = nn.Parameter(START.clone())
    optimizer = torch.optim.AdamW([parameter], lr=RATE, betas=(0.9, 0.99), weight_decay=0)
    found = follow(optimizer, technique("cautious_updates"))
    assert waited > STEPS / 4, "the test shows nothing"
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


def test_is_heavy_ball_momentum_that_waits():
    velocity, w, expected = torch.zeros(4).double(), START, []
    for _ in range(STEPS):
        g = CURVATURE * w
        velocity = 0.9 * velocity + g
        w = w - RATE * masked(velocity, g)
        expected.append(w)
    parameter = nn.Parameter(START.clone())
    found = follow(
        torch.optim.SGD([parameter], lr=RATE, momentum=0.9), technique("cautious_updates")
    )
    torch.testing.assert_close(found, torch.stack(expected), rtol=0, atol=1e-12)


def test_where_all_agree_the_step_is_the_optimizers_to_the_bit():
    ours = technique("cautious_updates")
    old = {"w": torch.randn(5, 3), "b": torch.randn(3)}
    gradients = {name: torch.randn_like(w) for name, w in old.items()}
    new = {name: w - 0.1 * gradients[name] for name, w in old.items()}
    changed = ours.constrain(make_step(memory=gradients), new, old)
    assert all(torch.equal(changed[name], w) for name, w in new.items())


def test_where_none_agrees_nothing_moves_however_small_the_numbers():
    ours = technique("cautious_updates")
    old = {"w": torch.full((4,), 1e-30)}
    for gradient, moves in ((1e-30, False), (0.0, False), (-1e-30, True)):
        step = make_step(memory={"w": torch.full((4,), gradient)})
        new = {"w": torch.full((4,), 2e-30)}
        assert torch.equal(ours.constrain(step, new, old)["w"], new["w"]) == moves


def test_what_rounding_leaves_of_a_gradient_is_none():
    """Else the share would be by chance, and another in a stack than alone."""
    ours = technique("cautious_updates")
    old, new = {"w": torch.zeros(4)}, {"w": torch.full((4,), -0.1)}
    gradient = torch.tensor([1.0, 1.0, 1e-7, 1e-4])
    changed = ours.constrain(make_step(memory={"w": gradient}), new, old)["w"]
    torch.testing.assert_close(changed, torch.tensor([1.0, 1.0, 0.0, 1.0]) * -0.1 / 0.75)


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_in_a_run_without_momentum_only_the_elements_without_a_gradient_count(seeds):
    """Each parameter's step is longer by its elements over those with a gradient."""
    rate, members = 0.1, [{}, {"cautious_updates": technique("cautious_updates")}]
    sgd = partial(torch.optim.SGD, lr=rate)
    ends = [
        run([make_member(s, t, sgd) for s in seeds], 1, 90, precision="float64")[0] for t in members
    ]
    for seed, plain, ours in zip(seeds, *ends, strict=True):
        start = dict(make_member(seed).model.named_parameters())
        for name, w in plain.last["weights"].items():
            moved = w - start[name].detach().double()
            expected = moved * moved.numel() / (moved != 0).sum().clamp(min=1)
            found = ours.last["weights"][name] - start[name].detach().double()
            torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-12)
