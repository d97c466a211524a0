"""THE loop: one for every model, dataset, technique, optimizer and schedule.

It is written as for one run. Whether it trains one or a stack of them is the stack's business,
and what regularizes is the techniques'.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from regexp.metrics.evaluate import metrics
from regexp.regularizer.base import Batch, Evaluation, GradientView, PenaltyView, Step, Tensors
from regexp.stack.stack import Stack
from regexp.stack.trainable import Trainable
from regexp.training.state import Best, Result, Standing

Report = Callable[[int, int, dict[str, float]], None]
"""`report(run, epoch, metrics)` is told of every run after every epoch, counted from 1."""

Save = Callable[[int, Callable[[], dict[str, Any]]], None]
"""`save(epoch, content)` may keep `content()`, from which training goes on after that epoch."""


SPLITS = (("train", "final/train_"), ("validation", "final/val_"), ("test", "test/"))
"""The splits that final weights are evaluated on, with the prefix of their metrics."""


def train(
    stack: Stack,
    epochs: int,
    report: Report,
    save: Save = lambda epoch, content: None,
    standing: Standing | None = None,
) -> list[Result]:
    """Train the runs of `stack` to their ends.

    Args:
        stack: the runs.
        epochs: at most so many.
        report: told of every run's metrics after every epoch: `train/loss` (the plain loss of
            the batches as they were trained on, without penalties), `val/...` (in evaluation
            mode, with the weights that the techniques evaluate), `lr` (of the last step).
        save: asked after every epoch but the last; the content must be kept at once.
        standing: where training goes on, if not at its beginning; see `Standing.resumed`.

    Returns:
        One result a run, in the order in which they ended. A run whose loss is no longer a finite
        number ends as FAILED, and leaves the others alone.
    """
    standing = standing or Standing(stack)
    results, seconds, best = standing.results, standing.seconds, standing.best
    for epoch in range(stack.epoch + 1, epochs + 1):
        started = time.perf_counter()
        losses, rows = [], []
        for inputs, targets in stack.batches():
            rate = stack.learning_rate
            losses.append(train_step(stack, inputs, targets))
            rows.append(stack.count(inputs))
        shares = torch.tensor(rows, dtype=stack.dtype, device=stack.device) / sum(rows)
        train_loss = torch.stack(losses, -1) @ shares

        state = stack.evaluated()
        validation = metrics(*stack.predict("validation", state), stack.task)
        best.update(epoch, validation["loss"], state)
        with torch.no_grad():
            elapsed = (time.perf_counter() - started) / len(stack.runs)
            spent = stack.per_run([seconds[run] + elapsed for run in stack.runs])
            seen = validation | {"train_loss": train_loss, "seconds": spent}
            stack.memory = stack.regularizer.observe(stack.memory, Evaluation(seen, state))
            stops = stack.each(torch.as_tensor(stack.regularizer.stop(stack.memory)))
        stack.end_epoch(validation["loss"])

        share = (time.perf_counter() - started) / len(stack.runs)
        rates = torch.as_tensor(rate, dtype=torch.float64)
        table = {"train/loss": stack.each(train_loss), "lr": stack.each(rates)}
        table |= {f"val/{name}": stack.each(value) for name, value in validation.items()}
        ending = []
        for position, run in enumerate(stack.runs):
            seconds[run] += share
            own = {name: values[position] for name, values in table.items()}
            report(run, epoch, own)
            reason = _failure(own, epoch)
            if reason:
                results.append(Result(run, "FAILED", reason, epoch, seconds[run]))
            if reason or epoch == epochs or stops[position]:
                ending.append((position, bool(reason)))
        results += _finish(stack, [p for p, failed in ending if not failed], state, best, seconds)
        leaving = {position for position, _ in ending}
        staying = [position for position in range(len(stack.runs)) if position not in leaving]
        if not staying:
            break
        if leaving:
            stack.keep(staying)
            best.keep(staying)
        save(epoch, standing.content)
    return results


def train_step(stack: Trainable, inputs: Tensor, targets: Tensor) -> Tensor:
    """One step of every run.

    Args:
        stack: the runs.
        inputs: [runs, rows, *features].
        targets: [runs, rows] classes, or [runs, rows, outputs] values.

    Returns:
        The mean plain loss of each run's batch as it was trained on, [runs], detached.
    """
    regularizer = stack.regularizer
    step = stack.step()
    batch = Batch(inputs, targets)
    if regularizer.uses("batch"):
        with torch.no_grad():
            batch = regularizer.batch(step, Batch(inputs, stack.soft(targets)))
    stack.draw_noise(step, stack.count(batch.inputs))

    outputs = stack.forward(batch.inputs)
    losses, objectives = _objectives(stack, step, stack.parameters, outputs, batch)
    stack.backward(objectives)

    if regularizer.uses("gradient"):

        def regradient(parameters: Tensors) -> Tensors:
            with torch.enable_grad():
                point = {n: p.detach().requires_grad_() for n, p in parameters.items()}
                outputs = stack.forward_at(point, batch.inputs)
                _, objectives = _objectives(stack, step, point, outputs, batch)
                gradients = torch.autograd.grad(
                    objectives.sum(), list(point.values()), materialize_grads=True
                )
            # of one memory layout with the first: sums over other strides round another way
            return {n: g.contiguous() for n, g in zip(point, gradients, strict=True)}

        with torch.no_grad():
            point = {n: p.detach() for n, p in stack.parameters.items()}
            view = GradientView(stack.gradients(), point, regradient)
            stack.set_gradients(regularizer.gradient(step, view))
    constrains = regularizer.uses("constrain")
    old = stack.copy_parameters() if constrains else {}
    stack.optimize()
    with torch.no_grad():
        if constrains:
            new = {n: p.detach() for n, p in stack.parameters.items()}
            stack.set_parameters(regularizer.constrain(step, new, old))
        if regularizer.uses("track"):
            stack.memory = regularizer.track(step, stack.state())
    return losses.detach()


def _objectives(
    stack: Trainable, step: Step, parameters: Mapping[str, Tensor], outputs: Tensor, batch: Batch
) -> tuple[Tensor, Tensor]:
    """The mean plain loss of each run, and that with its penalties: [runs] each."""
    losses = stack.loss(outputs, batch.targets).mean(-1)
    if not stack.regularizer.uses("penalty"):
        return losses, losses
    own = dict(parameters)
    view = PenaltyView(own, outputs, batch, stack.network(own), stack.loss, dict(stack.hidden))
    return losses, losses + stack.regularizer.penalty(step, view)


def _finish(
    stack: Stack, positions: list[int], state: Tensors, best: Best, seconds: dict[int, float]
) -> list[Result]:
    """The results of the runs at `positions`: here, and only here, test data are used."""
    if not positions:
        return []
    with torch.no_grad():
        final = stack.regularizer.restore(stack.memory, state)
    evaluated: dict[str, list[float]] = {}
    for split, prefix in SPLITS:
        outputs, targets = stack.predict(split, final, positions)
        scores = metrics(outputs, targets, stack.task)
        evaluated |= {prefix + name: stack.each(value) for name, value in scores.items()}
    results = []
    for order, position in enumerate(positions):
        run = stack.runs[position]
        optimizer, scheduler = stack.optimizer_state(position)
        epochs = stack.epoch
        best_epoch = int(best.epoch.reshape(-1)[position])
        own = {name: values[order] for name, values in evaluated.items()}
        own |= {"epochs": float(epochs), "seconds": seconds[run], "best_epoch": float(best_epoch)}
        # the last split is the test split
        result = Result(run, "FINISHED", "", epochs, seconds[run], own, stack.one(outputs, order))
        counts = stack.one(stack.counts(), position)  # so that a state dict is whole
        result.best = {"weights": stack.one(best.state, position) | counts, "epoch": best_epoch}
        result.last = {
            "weights": stack.one(final, position) | counts,
            "state": stack.one(stack.state(), position),
            "optimizer": optimizer,
            "scheduler": scheduler,
            "memory": stack.one(stack.memory, position),
            "epoch": epochs,
            "step": stack.step_index,
        }
        results.append(result)
    return results


def _failure(own: dict[str, float], epoch: int) -> str:
    """Why a run with these metrics cannot go on; empty if it can."""
    bad = [name for name in ("train/loss", "val/loss") if not math.isfinite(own[name])]
    if not bad:
        return ""
    cause = (
        "the steps are too large: lower optimizer.lr, or add gradient_clipping"
        if "train/loss" in bad
        else "the weights blow up only in evaluation mode: look at normalization layers, batches "
        "of a few rows and averaged weights, or lower optimizer.lr"
    )
    return (
        f"{bad[0]} became {own[bad[0]]} in epoch {epoch} at learning rate {own['lr']:g}; "
        f"the likely cause is that {cause}"
    )
