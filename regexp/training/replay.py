"""A stack's steps, recorded once for each shape of batch, and replayed.

A step has two recorded parts, before and after the optimizers' own step, which stays as it is. What
a part computes must be the same function of the tensors in every step, which is so where

- techniques and modules are torch's or ours, or say that they are `capturable`, and no hook of
  somebody else's is on a module, nor a loss of the user's own;
- nothing looks at the values of tensors, or at the number of the step other than as a tensor;
- the network does not draw by torch's own random functions.

All else is done by `train_step`. A part's first replay is compared with it, bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.model.functional import hooks_of, is_hooked
from regexp.regularizer.base import Batch, Memory, Step, Tensors
from regexp.stack.stack import Stack
from regexp.training.program import Program
from regexp.training.recording import Recorder, Unknown
from regexp.training.train_step import follow_optimizers, keep_state, set_gradients

WORTH = 100
"""Replays that must be to come, for a recording takes as long as some dozens of steps."""

MOST = 8
"""Programs of a part: where more are asked for, shapes or rates change too often."""


class Replay:
    """`replay(inputs, targets, weights)` is `train_step` of a stack, to the bit.

    Args:
        stack: which `is_recordable`.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._kinds: dict[Any, int] = {}
        self._begin()

    def _begin(self) -> None:
        stack = self.stack
        self._runs = stack.runs
        self._memory: Memory = None
        self._before = _Part(stack, self._compute_gradients, self._kind)
        self._after = _Part(stack, self._compute_memory, self._kind)
        self._follows = any(stack.regularizer.uses(hook) for hook in ("constrain", "track"))

    def __call__(
        self,
        inputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        stack = self.stack
        if self._runs is not stack.runs:  # some have left, and what was recorded is of them too
            self._begin()
        if stack.memory is not self._memory:
            self._memory, self._memory_kind = stack.memory, self._kind(stack.memory)
        step = stack.step()
        shapes = (self._memory_kind, inputs.shape, targets.shape, weights is None)
        batch = Batch(inputs, targets, weights, rows)
        (losses, old, gradients, memory), _ = self._before(step, shapes, batch)
        if memory:
            stack.memory = self._memory = memory
            self._memory_kind = self._kind(memory)
            step = replace(step, memory=memory)
        for name, parameter in stack.parameters.items():
            parameter.grad = gradients.get(name)
        stack.optimize()
        if self._follows:
            stack.memory, kind = self._after(step, (self._memory_kind,), old)
            if kind is not None:
                self._memory, self._memory_kind = stack.memory, kind
        keep_state(stack, step)
        return losses

    def _kind(self, values: Any) -> int:
        """A number for the structure of nested values, and the shapes and types of tensors."""
        leaves, structure = pytree.tree_flatten(values)
        kinds = [(t.shape, t.dtype) if isinstance(t, Tensor) else t for t in leaves]
        return self._kinds.setdefault((structure, *kinds), len(self._kinds))

    def _compute_gradients(
        self, step: Step, batch: Batch
    ) -> tuple[Tensor, Tensors, Tensors, Memory]:
        """What `set_gradients` does, and the memory if it changes."""
        losses, old = set_gradients(self.stack, step, batch)
        parameters = self.stack.parameters.items()
        memory = self.stack.memory if self.stack.memory is not step.memory else {}
        return losses, old, {n: p.grad for n, p in parameters if p.grad is not None}, memory

    def _compute_memory(self, step: Step, old: Tensors) -> Memory:
        follow_optimizers(self.stack, step, old)
        return self.stack.memory if self.stack.regularizer.uses("track") else step.memory


class _Part:
    """A part of a step, done in the fastest way that is known for what it is given.

    Args:
        stack: none of whose runs leaves.
        compute: `compute(step, values)` gives nested dicts and tuples of tensors.
        kind_of: tells their structure and shapes by a number.
    """

    def __init__(
        self, stack: Stack, compute: Callable[[Step, Any], Any], kind_of: Callable[[Any], int]
    ) -> None:
        self._stack = stack
        self._compute = compute
        self._kind_of = kind_of
        self._variables = [*stack.parameters.values(), *stack.model.buffers()]
        self._calls = 0
        self._seen: Counter[Any] = Counter()
        self._programs: dict[Any, _Checked | None] = {}
        self._by_rate = False

    def __call__(self, step: Step, kind: tuple[Any, ...], values: Any) -> tuple[Any, int | None]:
        """What `compute` gives, and of which kind it is if that is known.

        Args:
            kind: tells apart what needs programs of its own.
        """
        if self._by_rate:
            kind = (*kind, step.learning_rate)
        self._calls += 1
        if kind in self._programs:
            program = self._programs[kind]
            if program is None:
                return self._compute(step, values), None
            if program.checked:
                return program(step, values), program.kind
            return self._check(kind, program, step, values), None
        self._seen[kind] += 1
        if self._is_worth(self._seen[kind]):
            return self._record(kind, step, values), None
        return self._compute(step, values), None

    def _is_worth(self, seen: int) -> bool:
        """Whether what was met so often is likely to come often enough."""
        left = self._stack.steps - self._stack.step_index
        often = seen > 1 and left * seen >= WORTH * self._calls
        return often and len(self._programs) < MOST

    def _record(self, kind: Any, step: Step, values: Any) -> Any:
        before = self._copied()
        index, rate = step.index_tensor, step.learning_rate
        recorder = Recorder(
            (index, step.memory, rate, values), self._variables, (*step.rng.path[:-1], step.index)
        )
        rng = step.rng.fold()
        rng.watch = recorder.draw
        fixed = isinstance(rate, Tensor) or self._by_rate
        changes: dict[str, Any] = {
            "rng": rng,
            "shared": rng,
            "index": Unknown("the number of the step", index),
            "epoch": Unknown("the epoch"),
            "ends_epoch": Unknown("whether the epoch ends"),
            "learning_rate": rate if fixed else Unknown("the learning rate"),
        }
        try:
            with recorder:
                result = self._compute(replace(step, **changes), values)
            with torch.no_grad():
                self._programs[kind] = _Checked(recorder.program(result), self._kind_of(result))
        except Exception:  # an error of the step's own comes again
            self._put(before)
            if fixed:
                self._programs[kind] = None
            self._by_rate = not isinstance(rate, Tensor)
            return self._compute(step, values)
        return result

    def _check(self, kind: Any, program: _Checked, step: Step, values: Any) -> Any:
        """Hold the first replay against the step itself."""
        before = self._copied()
        try:
            ours = [*pytree.tree_leaves(program(step, values)), *self._copied()]
        except Exception:  # an operation that only torch itself can call
            ours = []
        self._put(before)
        result = self._compute(step, values)
        program.checked = _equal(ours, [*pytree.tree_leaves(result), *self._copied()])
        if not program.checked:
            self._programs[kind] = None
        return result

    def _copied(self) -> list[Tensor]:
        return [tensor.detach().clone() for tensor in self._variables]

    @torch.no_grad()
    def _put(self, values: Sequence[Tensor]) -> None:
        for tensor, value in zip(self._variables, values, strict=True):
            tensor.copy_(value)


class _Checked:
    """A program, which counts when its first replay was found to be right.

    Args:
        kind: of what it gives.
    """

    def __init__(self, program: Program, kind: int) -> None:
        self._program = program
        self.kind = kind
        self.checked = False

    def __call__(self, step: Step, values: Any) -> Any:
        given = (step.index_tensor, step.memory, step.learning_rate, values)
        with torch.no_grad():
            return self._program(step.index, given)


def _equal(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    """Whether tensors are the same, to the bit and in the order in which they lie in memory."""
    return len(first) == len(second) and all(
        a.dtype == b.dtype
        and a.shape == b.shape
        and _strides(a) == _strides(b)
        and torch.equal(_bits(a), _bits(b))
        for a, b in zip(first, second, strict=True)
    )


def _strides(tensor: Tensor) -> list[int]:
    """Of the axes that have more than one element."""
    return [step for step, size in zip(tensor.stride(), tensor.shape, strict=True) if size > 1]


def _bits(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(-1).view(torch.uint8)


def is_recordable(stack: Stack) -> bool:
    """Whether a step of `stack` does nothing that a recording could not see."""
    if not is_unwatched(stack):
        return False
    modules = [*stack.model.modules(), *stack.single.modules()]
    return stack.regularizer.is_capturable and all(_is_capturable(module) for module in modules)


def is_unwatched(stack: Stack) -> bool:
    """Whether a step is on the CPU, of our loss and draws, and no hook is on all modules, or on a
    parameter.
    """
    return (
        stack.device.type == "cpu"
        and stack.own_loss is None
        and not stack.draws_itself
        and not torch.nn.modules.module._has_any_global_hook()
        and not any(map(is_hooked, [*stack.model.parameters(), *stack.single.parameters()]))
    )


def _is_capturable(module: nn.Module) -> bool:
    kind = type(module)
    if not (vars(kind).get("capturable") or all(_is_known(base) for base in kind.__mro__)):
        return False
    hooks = hooks_of(module)
    functions = [value for value in vars(module).values() if callable(value)]
    return all(_is_known(function) for function in [*hooks, *functions])


def _is_known(function: Any) -> bool:
    """Whether a class or function is one of Python's, torch's or ours."""
    home = getattr(function, "__module__", None) or ""
    return home.partition(".")[0] in ("builtins", "torch", "regexp")
