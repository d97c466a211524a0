"""How regexp trains the network of `problem.py`: its own stack and training step, one or K runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import nn

from benchmarks.peers import Trainer
from benchmarks.problem import BATCH, CLASSES, FEATURES, HIDDEN, LEARNING_RATE, Problem
from regexp.dataset.base import Data, Split
from regexp.model.mlp import MLP
from regexp.regularizer.base import Regularizer
from regexp.regularizer.batch_norm import BatchNorm
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.dropout import Dropout
from regexp.stack.member import Member
from regexp.stack.optimizers import Stepper
from regexp.stack.stack import Stack
from regexp.training.steps import Steps

MOST_EPOCHS = 100_000
"""A stack is told beforehand; nothing here trains so many."""


def stack(problem: Problem, runs: int) -> Trainer:
    """Train `runs` runs as one stack.

    What the loop of `regexp.training.loop` does between epochs (validation, best weights) is left
    out, as it is for the peers. Losses are those of the first run.
    """
    trained = make_stack(problem, runs)
    steps = Steps(trained)

    def train(epochs: int, losses: list[float] | None = None) -> float:
        start = problem.clock()
        for _ in range(epochs):
            epoch = steps.epoch()
            if losses is not None:
                losses += [trained.each(loss)[0] for loss in epoch.losses]
            trained.end_epoch(torch.zeros(runs))
        return problem.clock() - start

    return train


def make_stack(
    problem: Problem, runs: int, techniques: Mapping[str, Regularizer] | None = None
) -> Stack:
    """A stack of `runs` runs; the first has the problem's seed and initial weights.

    Args:
        techniques: beside batch normalization and dropout, by name.
    """
    split = Split(problem.inputs, problem.targets)
    data = Data(
        train=split,
        validation=split,
        test=split,
        task="classification",
        classes=tuple(map(str, range(CLASSES))),
        features=tuple(map(str, range(FEATURES))),
        checksum="",
        name="benchmark",
        source="",
    )
    cocktail = Cocktail(
        {
            "batch_norm": BatchNorm(momentum=0.1, eps=1e-5),
            "dropout": Dropout(hidden=problem.dropout, inputs=None),
            **(techniques or {}),
        }
    )
    adam = partial(torch.optim.Adam, lr=LEARNING_RATE, fused=True if problem.fused else None)
    constant = partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0, total_iters=0)
    members = [
        Member(seed, data, _model(problem, cocktail), cocktail, Stepper(adam, constant, "epoch"))
        for seed in range(problem.seed, problem.seed + runs)
    ]
    return Stack(members, epochs=MOST_EPOCHS, batch_size=BATCH)


def _model(problem: Problem, cocktail: Cocktail) -> nn.Module:
    """The problem's network of our layers, with its initial weights."""
    model = cocktail.build(MLP((FEATURES,), CLASSES, hidden=[HIDDEN, HIDDEN], activation="relu"))
    values = problem.network().state_dict().values()
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    return model
