"""The rows of a stack's datasets as tensors on the device, gathered for all runs at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from regexp.dataset.base import Data
from regexp.dataset.lazy import LazyInputs

CHUNK = 2048
"""Rows a run that are evaluated at once, at most."""

CHUNK_BYTES = 4 * 2**20
"""Bytes of a run's inputs that are evaluated at once, at most: hidden layers take many times that.
Whatever the number of runs, so that a run's chunks are the same alone and in a stack."""

GATHERED_BYTES = 4 * 2**20
"""Bytes of inputs that are gathered at once for several batches: a call for each takes longer."""


Part = Tensor | LazyInputs
"""The inputs, or what else there is, of the rows of one dataset's split."""

NumberedRows = tuple[Tensor, Tensor, Tensor | None, Tensor | None]
"""Inputs, targets, how much each row counts, None if all count alike, and the number of each row in
the training split, None if nobody asks."""


class StackedRows:
    """The splits of K runs' data; runs that share a dataset object share its memory.

    Args:
        datasets: one a run, with splits of equal shapes.
        lifted: whether results carry a run axis.
        dtype: of inputs, and of targets in regression.
        weigh: gives how much the training rows of a dataset count, [rows]; None if all alike.
        numbered: whether batches have the numbers of their rows.

    Tables that are where they are needed, and of that type, are not copied. Inputs that are read
    when they are asked for (`LazyInputs`) stay where they are.
    """

    def __init__(
        self,
        datasets: Sequence[Data],
        lifted: bool,
        device: torch.device,
        dtype: torch.dtype,
        weigh: Callable[[Data], Tensor | None] = lambda data: None,
        numbered: bool = False,
    ) -> None:
        self._numbered = numbered
        self.classes = len(datasets[0].classes)
        self.lifted = lifted
        self.device = device
        unique = list({id(data): data for data in datasets}.values())
        position = {id(data): index for index, data in enumerate(unique)}
        self._owner = [position[id(data)] for data in datasets]
        self._dtype = dtype
        # of each dataset
        self._inputs: dict[str, list[Part]] = {}
        self._targets: dict[str, list[Part]] = {}
        self._row: dict[str, Tensor] = {}
        self.count: dict[str, int] = {}
        for split in ("train", "validation", "test"):
            parts = [getattr(data, split) for data in unique]
            self.count[split] = len(parts[0].inputs)
            self._inputs[split] = [
                part.inputs.to(device, dtype) if isinstance(part.inputs, Tensor) else part.inputs
                for part in parts
            ]
            self._row[split] = parts[0].inputs[:1].to(dtype)[0]
            self._targets[split] = [
                part.targets.to(device, dtype if part.targets.is_floating_point() else None)
                for part in parts
            ]
        weights = [part for data in unique if (part := weigh(data)) is not None]
        self._weights: list[Part] = [part.to(device, dtype) for part in weights]

    def _owners(self, runs: Sequence[int] | None) -> list[int]:
        """Whose rows those of the runs are, of all if None."""
        return self._owner if runs is None else [self._owner[run] for run in runs]

    def _gather(self, parts: Sequence[Part], rows: Tensor, owners: Sequence[int]) -> Tensor:
        """Of each run's rows [runs, rows], those of the part of its owner, [runs, rows, ...]."""
        part = parts[owners[0]]
        dtype = self._dtype if part.dtype.is_floating_point else part.dtype
        shape = *rows.shape, *part.shape[1:]
        runs_of: dict[int, list[int]] = {}
        for run, owner in enumerate(owners):
            runs_of.setdefault(owner, []).append(run)
        if len(runs_of) == 1:
            return part.index_select(0, rows.reshape(-1)).to(self.device, dtype).view(shape)
        gathered = torch.empty(shape, dtype=dtype, device=self.device)
        for owner, runs in runs_of.items():  # at once for all that share it: reading takes long
            found = parts[owner].index_select(0, rows[runs].reshape(-1))
            for run, values in zip(runs, found.split(rows.shape[1]), strict=True):
                gathered[run] = values
        return gathered

    @property
    def row_shape(self) -> torch.Size:
        """Of the inputs of one row, [*features]."""
        return self._row["train"].shape

    def batches(
        self, order: Tensor, batch_size: int, count: int, runs: Sequence[int] | None = None
    ) -> Iterator[NumberedRows]:
        """The first `count` batches of the training split in the runs' orders.

        Args:
            order: each run's permutation of its rows, [runs, rows].
            batch_size: rows a batch; the last may have fewer.
            runs: which runs, if not all.
        """
        order, owners = order.to(self.device), self._owners(runs)
        size = self._bytes("train") * order[..., :batch_size].numel()
        block = batch_size * max(1, GATHERED_BYTES // size)
        axis = int(self.lifted)
        for first in range(0, min(count * batch_size, order.shape[-1]), block):
            rows = order[..., first : first + block]
            inputs, targets = (
                self._gather(parts["train"], rows, owners).split(batch_size, axis)
                for parts in (self._inputs, self._targets)
            )
            weights: Iterable[Tensor | None] = itertools.repeat(None)
            if self._weights:
                weights = self._gather(self._weights, rows, owners).split(batch_size, axis)
            numbers: Iterable[Tensor | None] = itertools.repeat(None)
            if self._numbered:
                numbers = rows.split(batch_size, axis)
            left = count - first // batch_size
            batches = zip(inputs, targets, weights, numbers, strict=False)
            yield from itertools.islice(batches, left)

    def chunks(
        self, split: str, runs: Sequence[int] | None = None, size: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole split in the order of its rows, in chunks of `size` rows a run."""
        if size is None:
            size = min(CHUNK, max(1, CHUNK_BYTES // self._bytes(split)))
        owners = self._owners(runs)
        for first in range(0, self.count[split], size):
            last = min(first + size, self.count[split])
            rows = torch.arange(first, last, device=self.device)
            if self.lifted:
                rows = rows.expand(len(owners), -1)
            inputs, targets = self._inputs[split], self._targets[split]
            yield self._gather(inputs, rows, owners), self._gather(targets, rows, owners)

    def outputs(
        self, call: Callable[[Tensor], Tensor], split: str, runs: Sequence[int] | None = None
    ) -> tuple[Tensor, Tensor]:
        """What `call(inputs)` gives on the whole split, and its targets."""
        axis, first = int(self.lifted), 0
        outputs, targets = torch.empty(0), []
        for inputs, target in self.chunks(split, runs):
            part = call(inputs)
            if not first:  # once: parts kept between chunks would fragment the heap
                shape = [*part.shape]
                shape[axis] = self.count[split]
                outputs = part.new_empty(shape, dtype=self._dtype)
            outputs.narrow(axis, first, part.shape[axis]).copy_(part)
            first += part.shape[axis]
            targets.append(target)
        return outputs, torch.cat(targets, axis)

    def _bytes(self, split: str) -> int:
        """Of the inputs of one row."""
        return self._row[split].numel() * self._row[split].element_size()

    def class_counts(self) -> Tensor | None:
        """Training rows of each class, or with each label, of each run: float64 [runs, classes].

        Returns:
            None in regression.
        """
        if not self.classes:
            return None
        parts = [torch.as_tensor(part) for part in self._targets["train"]]
        each = [
            part.sum(0) if part.is_floating_point() else part.bincount(minlength=self.classes)
            for part in parts
        ]
        counts = torch.stack([each[owner] for owner in self._owner]).to(torch.float64)
        return counts if self.lifted else counts[0]

    def take(self, runs: Sequence[int]) -> None:
        """Keep only these runs."""
        self._owner = self._owners(runs)
