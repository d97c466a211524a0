"""Loops of torch's own, beside the runs of a stack that they must agree with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from regexp.dataset.base import Data
from regexp.regularizer.base import Regularizer
from regexp.stack.stack import Stack
from regexp.training.train_step import train_step
from tests.support import make_data, make_member, tensor

SGD = partial(torch.optim.SGD, lr=0.1)

Objective = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""`objective(run, outputs, targets, rows)`: the loss of a batch, of no dimension."""


def assert_trains_on(
    techniques: Sequence[Regularizer], objective: Objective, epochs: int = 3
) -> None:
    """Runs with one technique each have the weights of SGD on an objective, in float64."""
    data = imbalanced()
    members = [make_member(run, {"own": one}, SGD, data=data) for run, one in enumerate(techniques)]
    networks = [make_member(run, {}, SGD, data=data).model.double() for run in range(len(members))]
    optimizers = [SGD(network.parameters()) for network in networks]
    stack = Stack(members, epochs, 32, precision="float64")
    for _ in range(epochs):
        for inputs, targets, weights, rows in stack.batches():
            assert rows is not None
            for run, (network, optimizer) in enumerate(zip(networks, optimizers, strict=True)):
                x, y, number = (t[run] if stack.lifted else t for t in (inputs, targets, rows))
                optimizer.zero_grad()
                objective(run, network(x), y, number).backward()
                optimizer.step()
            train_step(stack, inputs, targets, weights, rows)
        stack.epoch += 1
    for run, network in enumerate(networks):
        for name, value in network.named_parameters():
            ours = stack.parameters[name][run] if stack.lifted else stack.parameters[name]
            torch.testing.assert_close(ours, value, rtol=1e-11, atol=1e-13)


def imbalanced() -> Data:
    """Rows of three classes, of which the last has few."""
    data = make_data(rows=120)
    train = data.train
    few = (train.targets != 2) | (torch.arange(len(train.targets)) % 5 == 0)
    kept = type(train)(tensor(train.inputs)[few], train.targets[few])
    return type(data)(
        kept, data.validation, data.test, data.task, data.classes, (), "none", "made", "the test"
    )
