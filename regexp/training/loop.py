"""THE loop: one for every model, dataset, technique, optimizer and schedule.

It is written as for one run, and trains a stack of them. Steps, evaluations and the best weights
are of the whole stack, in tensors with an entry for every run. Once an epoch each run has numbers
of its own: its metrics, its seconds, whether it ends and with what.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from regexp.metrics import names
from regexp.metrics.evaluate import metrics
from regexp.model.global_draws import no_global_draws
from regexp.regularizer.base import Tensors
from regexp.stack.stack import Stack
from regexp.training.state import Result, TrainingState
from regexp.training.steps import AUTO, Steps

EpochReport = Callable[[int, int, dict[str, float]], None]
"""`report(run, epoch, metrics)` is told of every run after every epoch, counted from 1."""

Save = Callable[[int, Callable[[], dict[str, Any]]], None]
"""`save(epoch, content)` may keep `content()`, from which training goes on after that epoch."""

SPLITS = {"train": names.TRAINING, "validation": names.VALIDATION, "test": names.TEST}
"""The splits that final weights are evaluated on, with the prefix of their metrics."""


def train(
    stack: Stack,
    epochs: int,
    report: EpochReport,
    save: Save = lambda epoch, content: None,
    state: TrainingState | None = None,
    way: str = AUTO,
) -> list[Result]:
    """Train the runs of `stack` to their ends.

    Args:
        epochs: at most so many.
        report: told of every run's metrics after every epoch: `train/loss` (the plain loss of
            the batches as they were trained on, without penalties), `val/...` (in evaluation
            mode, with the weights that the techniques evaluate), `lr` (of the last step).
        save: asked after every epoch but the last; the content must be kept at once.
        state: where training goes on, if not at its beginning; see `TrainingState.resumed`.
        way: of making the steps, a value of `trainer.step`.

    Returns:
        One result a run, in the order in which they ended. A run whose loss is no longer a finite
        number ends as FAILED, and leaves the others alone.
    """
    state, steps = state or TrainingState(stack), Steps(stack, way)
    for epoch in range(stack.epoch + 1, epochs + 1):
        # of the stack: tensors with an entry for every run
        started = time.perf_counter()
        with no_draws_in_training("torch"):
            train_loss, learning_rate = _train_epoch(steps)
            weights = stack.evaluated()
            outputs, targets = stack.predict("validation", weights)
            validation = metrics(outputs, targets, stack.task, stack.own_loss)
            state.best = state.best.update(epoch, validation["loss"], weights)
            spent = stack.per_run(state.seconds_since(started))
            ended = stack.observe(weights, validation, train_loss, spent, outputs, targets)
        stops = stack.each(ended)
        stack.end_epoch(validation["loss"])
        state.seconds |= zip(stack.runs, state.seconds_since(started), strict=True)

        # of each run: numbers
        curves = {names.EPOCH_TRAINING_LOSS: train_loss, names.LEARNING_RATE: learning_rate}
        curves |= {names.EPOCH_VALIDATION + name: value for name, value in validation.items()}
        finished, staying = [], []
        for position, numbers in enumerate(_by_run(stack, curves)):
            run = stack.runs[position]
            report(run, epoch, numbers)
            rows = partial(stack.of_run, (outputs, targets), position)
            passed = state.passes(run, epoch, numbers, rows)
            if reason := _failure(numbers, epoch):
                state.results.append(Result(run, "FAILED", reason, epoch, state.seconds[run]))
            elif epoch == epochs or stops[position] or not passed:
                finished.append(position)
            else:
                staying.append(position)
        with no_draws_in_training("torch"):
            state.results += _finished(stack, finished, weights, state)
        if not staying:
            break
        state.keep(staying)
        save(epoch, state.content)
    return state.results


def no_draws_in_training(*whose: str) -> AbstractContextManager[None]:
    """Refuse steps that draw from a global random state; `whose` are looked at."""
    cure = (
        "draw from the rng that a hook is given (step.rng, view.rng), and in a network in every "
        "call of its forward in training mode, the first included"
    )
    return no_global_draws("something drew from {} in training", cure, whose=whose)


def _train_epoch(steps: Steps) -> tuple[Tensor, Tensor]:
    """One step on every batch: the mean plain loss and the last learning rate, [runs] each."""
    epoch = steps.epoch()
    rate = torch.as_tensor(epoch.learning_rate, dtype=torch.float64)
    return mean_loss(epoch.losses, epoch.rows), rate


def mean_loss(losses: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    """The mean over the rows of batches of so many rows each, from their mean losses [runs]."""
    stacked = torch.stack(list(losses), -1)
    return stacked @ (torch.tensor(rows, dtype=stacked.dtype, device=stacked.device) / sum(rows))


def _by_run(stack: Stack, tensors: Mapping[str, Tensor]) -> list[dict[str, float]]:
    """Tensors [runs] by name as numbers by name, one mapping a run."""
    rows = zip(*map(stack.each, tensors.values()), strict=True)
    return [dict(zip(tensors, row, strict=True)) for row in rows]


def _failure(numbers: Mapping[str, float], epoch: int) -> str:
    """Why a run with these metrics cannot go on; empty if it can."""
    losses = names.EPOCH_TRAINING_LOSS, names.EPOCH_VALIDATION_LOSS
    bad = [name for name in losses if not math.isfinite(numbers[name])]
    if not bad:
        return ""
    cause = (
        "the steps are too large: lower optimizer.lr, or add gradient_clipping"
        if names.EPOCH_TRAINING_LOSS in bad
        else "the weights blow up only in evaluation mode: look at normalization layers, batches "
        "of a few rows and averaged weights, or lower optimizer.lr"
    )
    learning_rate = numbers[names.LEARNING_RATE]
    return (
        f"{bad[0]} became {numbers[bad[0]]} in epoch {epoch} at learning rate {learning_rate:g}; "
        f"the likely cause is that {cause}"
    )


def _finished(
    stack: Stack, positions: list[int], weights: Tensors, state: TrainingState
) -> list[Result]:
    """The results of the runs at `positions`: here, and only here, test data are used."""
    if not positions:
        return []
    with torch.no_grad():
        final = stack.regularizer.restore(stack.memory, weights)
    scores, outputs = {}, {}
    for split, prefix in SPLITS.items():
        outputs[split], targets = stack.predict(split, final, positions)
        for name, value in metrics(outputs[split], targets, stack.task, stack.own_loss).items():
            scores[prefix + name] = value
    kept = {split: outputs[split].cpu() for split in ("validation", "test")}
    results = [
        state.result(position, final, numbers, stack.of_run(kept, order))
        for order, (position, numbers) in enumerate(
            zip(positions, _by_run(stack, scores), strict=True)
        )
    ]
    for result in results:
        result.together = [stack.runs[position] for position in positions]
    return results
