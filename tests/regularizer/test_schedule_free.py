"""Schedule-free: the paper's recursion, and the authors' package schedulefree 1.4.1, by values
recorded from it and, where it is installed, by its steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.regularizer.test_advice import advised, course
from tests.support import BY_NAME, make_step, technique

CURVATURE = torch.tensor([1.0, 0.3, 3.0], dtype=torch.float64)
START = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
TARGET = torch.tensor([0.2, 0.1, -0.4], dtype=torch.float64)
RATE, WARM_UP, DECAY, STEPS = 0.05, 10, 0.02, 60


def slope(w):
    """Of |sin| of the distance to a target, by curvature: no step is like the one before."""
    return CURVATURE * torch.sin(w - TARGET)


def rate_at(index):
    return RATE * min((index + 1) / WARM_UP, 1)


def follow(make, beta, decay=0.0):
    """Trained and evaluated weights after each step of an optimizer with the technique."""
    parameter = nn.Parameter(START.clone())
    optimizer = make([parameter])
    ours, decays = technique("schedule_free", beta=beta), technique("weight_decay", strength=decay)
    memory = ours.init({"w": parameter.detach()}, BY_NAME)
    path = []
    for index in range(STEPS):
        step = make_step(index, learning_rate=rate_at(index), memory=memory)
        optimizer.param_groups[0]["lr"] = rate_at(index)
        old = {"w": parameter.detach().clone()}
        parameter.grad = slope(old["w"])
        optimizer.step()
        new = decays.constrain(step, {"w": parameter.detach().clone()}, old)
        new = ours.constrain(step, new, old)
        memory = ours.track(step, new)
        with torch.no_grad():
            parameter.copy_(new["w"])
        path.append((new["w"], ours.weights(memory, new)["w"]))
    return path


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=RATE)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=RATE, betas=(0.0, 0.999), eps=1e-8, weight_decay=0)


@pytest.mark.parametrize("beta", [0.0, 0.6, 0.9, 0.98])
def test_is_the_papers_recursion(beta):
    """Equations 2 to 4 with gradient descent, the three sequences written one by one."""
    x = z = START
    total = 0.0
    for index, (trained, evaluated) in enumerate(follow(sgd, beta)):
        y = (1 - beta) * z + beta * x
        z = z - rate_at(index) * slope(y)
        total += rate_at(index) ** 2  # which never falls
        share = rate_at(index) ** 2 / total
        x = (1 - share) * x + share * z
        torch.testing.assert_close(evaluated, x, rtol=0, atol=1e-13)
        torch.testing.assert_close(trained, (1 - beta) * z + beta * x, rtol=0, atol=1e-13)


def test_without_interpolation_training_is_the_plain_one_and_its_mean_is_evaluated():
    plain = START
    seen = []
    for index, (trained, evaluated) in enumerate(follow(sgd, 0.0)):
        plain = plain - rate_at(index) * slope(plain)
        seen.append(plain)
        counts = torch.tensor([rate_at(i) ** 2 for i in range(index + 1)], dtype=torch.float64)
        mean = (counts[:, None] * torch.stack(seen)).sum(0) / counts.sum()
        torch.testing.assert_close(trained, plain, rtol=0, atol=1e-14)
        torch.testing.assert_close(evaluated, mean, rtol=0, atol=1e-14)


RECORDED = {
    "sgd": (
        [0.2874176234530286, -1.4986482177768043, -0.4482907810744381],
        [0.3205422509006797, -1.5417597550283244, -0.45481298855793945],
    ),
    "adamw": (
        [0.1409195624647958, -0.39496635186136053, -0.43965700306420763],
        [0.16076691466641704, -0.507495273277101, -0.40962786011484353],
    ),
}
"""Weights that the package trains and evaluates after the last step, see `of_the_package`."""


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_has_the_values_of_the_authors_package(name):
    trained, evaluated = follow({"sgd": sgd, "adamw": adamw}[name], 0.9, DECAY)[-1]
    for ours, theirs in zip((trained, evaluated), RECORDED[name], strict=True):
        expected = torch.tensor(theirs, dtype=torch.float64)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_is_the_authors_package_step_for_step(name):
    package = pytest.importorskip("schedulefree", reason="schedulefree is not installed")
    for (trained, evaluated), theirs in zip(
        follow({"sgd": sgd, "adamw": adamw}[name], 0.9, DECAY),
        of_the_package(package, name), strict=True,
    ):  # fmt: skip
        torch.testing.assert_close(trained, theirs[0], rtol=0, atol=1e-14)
        torch.testing.assert_close(evaluated, theirs[1], rtol=0, atol=1e-14)


def of_the_package(package, name):
    """Trained and evaluated weights after each step of the authors' optimizer."""
    parameter = nn.Parameter(START.clone())
    options = {"lr": RATE, "warmup_steps": WARM_UP, "weight_decay": DECAY}
    if name == "sgd":
        optimizer = package.SGDScheduleFree([parameter], momentum=0.9, **options)
    else:
        optimizer = package.AdamWScheduleFree([parameter], betas=(0.9, 0.999), **options)
    path = []
    for _ in range(STEPS):
        optimizer.train()
        parameter.grad = slope(parameter.detach())
        optimizer.step()
        trained = parameter.detach().clone()
        optimizer.eval()
        path.append((trained, parameter.detach().clone()))
    return path


def test_weights_that_do_not_move_stay_to_the_bit():
    ours = technique("schedule_free")
    w = {"w": torch.randn(50)}
    memory = ours.init(w, BY_NAME)
    for index in range(20):
        step = make_step(index, memory=memory)
        new = ours.constrain(step, w, w)
        memory = ours.track(step, new)
        assert torch.equal(new["w"], w["w"])
        assert torch.equal(ours.weights(memory, new)["w"], w["w"])


def test_a_rate_of_zero_at_the_start_moves_nothing():
    ours = technique("schedule_free")
    w = {"w": START}
    step = make_step(learning_rate=0.0, memory=ours.init(w, BY_NAME))
    assert torch.equal(ours.weights(ours.track(step, ours.constrain(step, w, w)), w)["w"], START)


def test_a_schedule_that_falls_is_advised_against():
    assert advised("schedule_free", course(5, rates=[0.1, 0.1, 0.001]))
    assert not advised("schedule_free", course(5, rates=[0.001, 0.1, 0.1]))
