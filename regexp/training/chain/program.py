"""An epoch of a stack of chains: the steps of a few runs, then those of the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from regexp.stack.fused_adam import differ_in_rates
from regexp.stack.stack import Stack
from regexp.training.chain.block import Block
from regexp.training.chain.losses import LOSSES
from regexp.training.chain.structure import Link, links_of
from regexp.training.chain.updates import (
    GroupUpdate,
    JoinedUpdate,
    Settings,
    Update,
    note_steps,
    states_of,
    update_of,
)

RUNS = 8
"""Of a block, at most: what they work on should stay in the processor's cache."""


class Epoch(NamedTuple):
    """What the steps of an epoch gave.

    Attributes:
        losses: the mean plain loss of every batch, [runs] each.
        rows: of every batch.
        learning_rate: of the last step, a float or [runs].
    """

    losses: list[Tensor]
    rows: list[int]
    learning_rate: Tensor | float


class Program:
    """Trains a stack as `train_step` does, to rounding, with the same draws to the bit.

    The stack's tensors are copied into the blocks at an epoch's begin and back at its end: to all
    others they are what they were. A run's bits depend on the runs of its block, as those of
    `train_step` do on the runs of the stack.

    Args:
        stack: whose runs may leave between two epochs.
        links: of its networks, by `links_of`.
    """

    def __init__(self, stack: Stack, links: list[Link]) -> None:
        self._stack = stack
        self._runs: list[int] = []
        self._links = links
        self._blocks: dict[int, Block] = {}

    @classmethod
    def of(cls, stack: Stack) -> Program | None:
        """The program of a stack; None if its step is none that a program knows."""
        links = links_of(stack)
        return None if links is None else cls(stack, links)

    @torch.no_grad()
    def epoch(self) -> Epoch:
        """One step on every batch of the stack's epoch."""
        stack = self._stack
        if self._runs != stack.runs:  # numbers of dropout are of the runs that are left
            self._links = links_of(stack) or []
            self._runs = list(stack.runs)
        first, rates, rows = stack.step_index, [], []
        settings: list[list[Settings]] = []
        losses: list[list[Tensor]] = []
        for begin in range(0, len(stack.runs), RUNS):
            runs = range(len(stack.runs))[begin : begin + RUNS]
            block = self._loaded(runs)
            updates = self._updates(block, runs)
            losses.append([])
            for index, (inputs, targets, weights, _) in enumerate(stack.batches(runs)):
                if begin == 0:  # schedules go on for all runs at once
                    rates.append(stack.learning_rate)
                    settings.append(self._settings())
                    rows.append(stack.count(inputs))
                    stack.count_step()
                rng = stack.rng("step", first + index, runs=runs)
                if not stack.lifted:
                    inputs, targets = inputs.unsqueeze(0), targets.unsqueeze(0)
                    weights = None if weights is None else weights.unsqueeze(0)
                losses[-1].append(block.gradients(rng, inputs.flatten(2), targets, weights))
                for update in updates:
                    update(first + index + 1, settings[index])
            self._copy(block, runs, back=True)
        self._count(stack.step_index - first)
        means = [torch.cat(each) for each in zip(*losses, strict=True)]
        return Epoch(means if stack.lifted else [mean[0] for mean in means], rows, rates[-1])

    def _settings(self) -> list[Settings]:
        """The numbers of every group's optimizer for the next step."""
        groups = self._stack.optimizers.groups
        for group in groups:
            group.optimizer._opt_called = True  # type: ignore[attr-defined]  # schedulers look
        return [dict(group.optimizer.param_groups[0]) for group in groups]

    def _loaded(self, runs: range) -> Block:
        """A block with what the stack has of these runs."""
        links = [
            link._replace(p=link.p[runs]) if isinstance(link.p, Tensor) else link
            for link in self._links
        ]
        if len(runs) not in self._blocks:
            self._blocks[len(runs)] = self._block(links, len(runs))
        block = self._blocks[len(runs)]
        block.drop(links)
        self._copy(block, runs)
        return block

    def _block(self, links: list[Link], runs: int) -> Block:
        stack = self._stack

        def shapes(values: Mapping[str, Tensor]) -> dict[str, torch.Size]:
            axis = int(stack.lifted)
            return {n: torch.Size((runs, *value.shape[axis:])) for n, value in values.items()}

        return Block(
            links,
            shapes(stack.parameters),
            shapes(self._statistics()),
            max(len(update.states) for _, update in self._groups()),
            LOSSES[stack.task],
            stack.rows.row_shape.numel(),
            stack.dtype,
        )

    def _statistics(self) -> dict[str, Tensor]:
        """The running statistics of batch normalization, by name."""
        return {
            link.key(key): self._stack.model.get_buffer(link.key(key))
            for link in self._links
            if isinstance(link.module, nn.BatchNorm1d)
            for key in ("running_mean", "running_var")
        }

    def _groups(self) -> list[tuple[int, Update]]:
        """The groups of runs that share an optimizer, by number, and how it steps."""
        groups = enumerate(self._stack.optimizers.groups)
        return [(number, update) for number, g in groups if (update := update_of(g.optimizer))]

    def _updates(
        self, block: Block, runs: range
    ) -> list[Callable[[int, Sequence[Settings]], None]]:
        """What steps the runs of a block, given the step's number and every group's numbers."""
        here: list[tuple[int, slice]] = []
        updates: list[Callable[[int, Sequence[Settings]], None]] = []
        for number, update in self._groups():
            if common := self._common(number, runs):
                part = slice(common[0] - runs[0], common[-1] + 1 - runs[0])
                here.append((number, part))
                used = block.vectors[: 2 + len(update.states)]
                updates.append(GroupUpdate(update, number, [flat.of(part) for flat in used]))
        groups = self._stack.optimizers.groups
        if len(here) > 1 and differ_in_rates([groups[number].optimizer for number, _ in here]):
            return [JoinedUpdate(block.vectors, here, updates)]
        return updates

    def _common(self, number: int, runs: range) -> range:
        """Which of `runs` a group has, as positions in the stack."""
        of_group = self._stack.optimizers.groups[number].runs
        return range(max(of_group[0], runs[0]), min(of_group[-1], runs[-1]) + 1)

    def _copy(self, block: Block, runs: range, *, back: bool = False) -> None:
        """Copy what the stack has of `runs` into a block, or back."""
        stack, part = self._stack, slice(runs[0], runs[-1] + 1)
        outer = [*stack.parameters.values(), *self._statistics().values()]
        theirs = [value[part] if stack.lifted else value.unsqueeze(0) for value in outer]
        ours = [*block.parameters.parts, *block.statistics.parts]
        for number, update in self._groups():
            if here := self._common(number, runs):
                group = stack.optimizers.groups[number]
                inner = slice(here[0] - runs[0], here[-1] + 1 - runs[0])
                of_group = slice(here[0] - group.runs[0], here[-1] + 1 - group.runs[0])
                states = states_of(group.optimizer, update)
                for flat, values in zip(block.states, states, strict=False):
                    theirs += [v[of_group] if group.axis else v.unsqueeze(0) for v in values]
                    ours += [value[inner] for value in flat.parts]
        torch._foreach_copy_(*((theirs, ours) if back else (ours, theirs)))

    def _count(self, steps: int) -> None:
        """Let those that count steps know of them."""
        stack = self._stack
        for number, update in self._groups():
            note_steps(stack.optimizers.groups[number].optimizer, update, stack.step_index)
        for link in self._links:
            if isinstance(link.module, nn.BatchNorm1d):
                stack.model.get_buffer(link.key("num_batches_tracked")).add_(steps)
