"""One training step of a stack, written as for one run: what every faster way must compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.regularizer.base import Batch, GradientView, Memory, PenaltyView, Step, Tensors
from regexp.stack.trainable import Trainable


def train_step(
    stack: Trainable,
    inputs: Tensor,
    targets: Tensor,
    weights: Tensor | None = None,
    rows: Tensor | None = None,
) -> Tensor:
    """One step of every run.

    Args:
        inputs: [runs, rows, *features].
        targets: [runs, rows] classes, or [runs, rows, outputs] labels or values.
        weights: how much rows count, [runs, rows]; None if all alike.
        rows: their numbers in the training split, [runs, rows], if techniques ask for them.

    Returns:
        The mean loss of each run's batch as it was trained on, [runs], detached: by weights where
        there are some, and without penalties.
    """
    step = stack.step()
    losses, old = set_gradients(stack, step, Batch(inputs, targets, weights, rows))
    stack.optimize()
    follow_optimizers(stack, step, old)
    keep_state(stack, step)
    return losses


def set_gradients(stack: Trainable, step: Step, batch: Batch) -> tuple[Tensor, Tensors]:
    """The part of a step before that of the optimizers, which ends with all gradients.

    Returns:
        The mean losses as `train_step` does, and a copy of the parameters if techniques ask for
        those before the optimizers' step, [runs, ...].
    """
    regularizer = stack.regularizer
    if regularizer.uses("batch"):
        with torch.no_grad():
            batch = regularizer.batch(step, batch._replace(targets=stack.soft(batch.targets)))
    stack.draw_noise(step, stack.count(batch.inputs))

    outputs = stack.forward(batch.inputs)
    losses, objectives, memory = _objectives(stack, step, stack.parameters, outputs, batch)
    stack.backward(objectives)
    if regularizer.uses("gradient"):
        # who asks for gradients elsewhere gets them with the memory of the first pass
        with torch.no_grad():
            found = stack.gradients()
            regradient = partial(_regradient, stack, step, batch, tuple(found))
            view = GradientView(found, _detached(stack.parameters), regradient)
            step = _remember(stack, step, memory)
            gradients, memory = regularizer.gradient(step, view)
            stack.set_gradients(gradients)
    _remember(stack, step, memory)
    old = stack.copy_parameters() if regularizer.uses("constrain") else {}
    return losses.detach(), old


@torch.no_grad()
def follow_optimizers(stack: Trainable, step: Step, old: Tensors) -> None:
    """What techniques do after the optimizers' step, but for `keep_state`.

    Args:
        old: the parameters before it, if techniques ask for them.
    """
    regularizer = stack.regularizer
    if stack.memory is not step.memory:  # it changed before
        step = replace(step, memory=stack.memory)
    if regularizer.uses("constrain"):
        stack.set_parameters(regularizer.constrain(step, _detached(stack.parameters), old))
    if regularizer.uses("track"):
        stack.memory = regularizer.track(step, stack.state())


@torch.no_grad()
def keep_state(stack: Trainable, step: Step) -> None:
    """Let the techniques that keep the state after some steps have it."""
    if stack.regularizer.keeps(step):
        step = replace(step, memory=stack.memory)
        stack.memory = stack.regularizer.keep(step, stack.evaluated())


def _remember(stack: Trainable, step: Step, memory: Memory) -> Step:
    """The step after techniques changed these memories, by name."""
    if not memory:
        return step
    detached = pytree.tree_map_only(Tensor, Tensor.detach, memory)
    stack.memory = {**step.memory, **detached}
    return replace(step, memory=stack.memory)


def _detached(parameters: Mapping[str, Tensor]) -> Tensors:
    return {name: value.detach() for name, value in parameters.items()}


def _objectives(
    stack: Trainable, step: Step, parameters: Mapping[str, Tensor], outputs: Tensor, batch: Batch
) -> tuple[Tensor, Tensor, Memory]:
    """The mean loss of each run, that with its penalties, [runs] each, and memories that change."""
    losses = batch.mean(stack.loss(outputs, batch.targets))
    if not stack.regularizer.uses("penalty"):
        return losses, losses, {}
    network = stack.network(dict(parameters))
    hidden = dict(stack.hidden)
    # the loss of classes is faster than that of their probabilities, and rounds another way
    seen = batch._replace(targets=stack.soft(batch.targets))
    view = PenaltyView(network.parameters, outputs, seen, network, stack.loss, hidden)
    penalties, memory = stack.regularizer.penalty(step, view)
    return losses, losses + penalties, memory


def _regradient(
    stack: Trainable, step: Step, batch: Batch, names: Sequence[str], parameters: Tensors
) -> Tensors:
    """The gradients of the same step at other parameters, of those that have one in the step."""
    point = _detached(parameters)
    with torch.enable_grad():
        wanted = [point[name].requires_grad_() for name in names]
        outputs = stack.forward_at(point, batch.inputs)
        _, objectives, _ = _objectives(stack, step, point, outputs, batch)
        gradients = torch.autograd.grad(objectives.sum(), wanted, materialize_grads=True)
    # of one memory layout with the first: sums over other strides round another way
    return {name: g.contiguous() for name, g in zip(names, gradients, strict=True)}
