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


WeightedRows = tuple[Tensor, Tensor, Tensor | None]
"""Inputs, targets, and how much each row counts, None if all count alike."""


class StackedRows:
    """The splits of K runs' data; runs that share a dataset object share its memory.

    Args:
        datasets: one a run, with splits of equal shapes.
        lifted: whether results carry a run axis.
        dtype: of inputs, and of targets in regression.
        weigh: gives how much the training rows of a dataset count, [rows]; None if all alike.

    Inputs that are read when they are asked for (`LazyInputs`) stay where they are.
    """

    def __init__(
        self,
        datasets: Sequence[Data],
        lifted: bool,
        device: torch.device,
        dtype: torch.dtype,
        weigh: Callable[[Data], Tensor | None] = lambda data: None,
    ) -> None:
        self.classes = len(datasets[0].classes)
        self.lifted = lifted
        self.device = device
        unique = list({id(data): data for data in datasets}.values())
        position = {id(data): index for index, data in enumerate(unique)}
        self._owner = torch.tensor([position[id(data)] for data in datasets])
        self._dtype = dtype
        self._inputs: dict[str, list[Tensor | LazyInputs]] = {}
        self._row: dict[str, Tensor] = {}
        self._targets: dict[str, Tensor] = {}
        self.count: dict[str, int] = {}
        for split in ("train", "validation", "test"):
            parts = [getattr(data, split) for data in unique]
            self.count[split] = len(parts[0].inputs)
            self._inputs[split] = [part.inputs for part in parts]
            if all(isinstance(part.inputs, Tensor) for part in parts):
                self._inputs[split] = [_joined([p.inputs for p in parts]).to(device, dtype)]
            self._row[split] = parts[0].inputs[:1].to(dtype)[0]
            targets = torch.cat([part.targets for part in parts]).to(device)
            self._targets[split] = targets.to(dtype) if targets.is_floating_point() else targets
        weights = [part for data in unique if (part := weigh(data)) is not None]
        self._weights = torch.cat(weights).to(device, dtype) if weights else None

    def place(self, split: str, rows: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        """Row numbers within each run's split [runs, rows] -> places for `gather`, on the device.

        Args:
            rows: [runs, rows], or [rows] for one run without a run axis.
            runs: which runs, if not all.
        """
        if self.lifted:
            owner = self._owner if runs is None else self._owner[list(runs)]
            rows = rows + (owner * self.count[split]).unsqueeze(1)
        return rows.to(self.device)

    def gather(self, split: str, places: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [runs, rows, *features] and targets [runs, rows, ...] at `places`."""
        targets = self._targets[split]
        flat = places.reshape(-1)
        return (
            self._select(split, flat).view(*places.shape, *self._row[split].shape),
            targets.index_select(0, flat).view(*places.shape, *targets.shape[1:]),
        )

    def _select(self, split: str, flat: Tensor) -> Tensor:
        """Inputs [places, *features] at `flat` [places]."""
        inputs = self._inputs[split]
        if len(inputs) == 1 and isinstance(inputs[0], Tensor):
            return inputs[0].index_select(0, flat)
        flat = flat.cpu()  # of several seeds, each with a reader of its own
        out = torch.empty(len(flat), *self._row[split].shape, dtype=self._dtype)
        owner = flat // self.count[split]
        for number in owner.unique().tolist():
            mine = owner == number
            out[mine] = inputs[number].index_select(0, flat[mine] % self.count[split]).to(out)
        return out.to(self.device)

    @property
    def row_shape(self) -> torch.Size:
        """Of the inputs of one row, [*features]."""
        return self._row["train"].shape

    def batches(
        self, order: Tensor, batch_size: int, count: int, runs: Sequence[int] | None = None
    ) -> Iterator[WeightedRows]:
        """The first `count` batches of the training split in the runs' orders.

        Args:
            order: each run's permutation of its rows, [runs, rows].
            batch_size: rows a batch; the last may have fewer.
            runs: which runs, if not all.
        """
        places = self.place("train", order, runs)
        size = self._bytes("train") * places[..., :batch_size].numel()
        block = batch_size * max(1, GATHERED_BYTES // size)
        axis = int(self.lifted)
        for first in range(0, min(count * batch_size, places.shape[-1]), block):
            block_places = places[..., first : first + block]
            part = self.gather("train", block_places)
            weights: Iterable[Tensor | None] = itertools.repeat(None)
            if self._weights is not None:
                weights = self._weights[block_places].split(batch_size, axis)
            inputs, targets = (tensor.split(batch_size, axis) for tensor in part)
            left = count - first // batch_size
            yield from itertools.islice(zip(inputs, targets, weights, strict=False), left)

    def chunks(
        self, split: str, runs: Sequence[int] | None = None, size: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole split in the order of its rows, in chunks of `size` rows a run."""
        if size is None:
            size = min(CHUNK, max(1, CHUNK_BYTES // self._bytes(split)))
        for first in range(0, self.count[split], size):
            rows = torch.arange(first, min(first + size, self.count[split]))
            if self.lifted:
                rows = rows.expand(len(self._owner) if runs is None else len(runs), -1)
            yield self.gather(split, self.place(split, rows, runs))

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

    def take(self, runs: Sequence[int]) -> None:
        """Keep only these runs."""
        self._owner = self._owner[list(runs)]


def _joined(parts: Sequence[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
