"""The rows of a stack's datasets as tensors on the device, gathered for all runs at once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from regexp.dataset.base import Data

CHUNK = 2048
"""Rows a run that are evaluated at once."""

BLOCK = 4 * 2**20
"""Bytes of inputs that are gathered at once for several batches: a call for each takes longer."""


class Rows:
    """The splits of K runs' data; runs that share a dataset object share its memory.

    Args:
        datasets: one a run, with splits of equal shapes.
        lifted: whether results carry a run axis.
        device: where the rows live.
        dtype: of inputs, and of targets in regression.
    """

    def __init__(
        self, datasets: Sequence[Data], lifted: bool, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.classes = len(datasets[0].classes)
        self.lifted = lifted
        self.device = device
        unique = list({id(data): data for data in datasets}.values())
        position = {id(data): index for index, data in enumerate(unique)}
        self._owner = torch.tensor([position[id(data)] for data in datasets])
        self._inputs: dict[str, Tensor] = {}
        self._targets: dict[str, Tensor] = {}
        self.count: dict[str, int] = {}
        for split in ("train", "validation", "test"):
            parts = [getattr(data, split) for data in unique]
            self.count[split] = len(parts[0].inputs)
            self._inputs[split] = torch.cat([part.inputs for part in parts]).to(device, dtype)
            targets = torch.cat([part.targets for part in parts]).to(device)
            self._targets[split] = targets.to(dtype) if targets.is_floating_point() else targets

    def place(self, split: str, rows: Tensor, runs: Sequence[int] | None = None) -> Tensor:
        """Row numbers within each run's split [runs, rows] -> places for `gather`, on the device.

        Args:
            split: `train`, `validation` or `test`.
            rows: [runs, rows], or [rows] for one run without a run axis.
            runs: which runs, if not all.
        """
        if self.lifted:
            owner = self._owner if runs is None else self._owner[list(runs)]
            rows = rows + (owner * self.count[split]).unsqueeze(1)
        return rows.to(self.device)

    def gather(self, split: str, places: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs [runs, rows, *features] and targets [runs, rows, ...] at `places`."""
        inputs, targets = self._inputs[split], self._targets[split]
        flat = places.reshape(-1)
        return (
            inputs.index_select(0, flat).view(*places.shape, *inputs.shape[1:]),
            targets.index_select(0, flat).view(*places.shape, *targets.shape[1:]),
        )

    def batches(
        self, order: Tensor, batch_size: int, count: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The first `count` batches of the training split in the runs' orders.

        Args:
            order: each run's permutation of its rows, [runs, rows].
            batch_size: rows a batch; the last may have fewer.
            count: of the batches.
        """
        places = self.place("train", order)
        row = self._inputs["train"][0]
        size = row.numel() * row.element_size() * places[..., :batch_size].numel()
        block = batch_size * max(1, BLOCK // size)
        axis = int(self.lifted)
        for first in range(0, min(count * batch_size, places.shape[-1]), block):
            part = self.gather("train", places[..., first : first + block])
            left = count - first // batch_size
            yield from itertools.islice(
                zip(*(tensor.split(batch_size, axis) for tensor in part), strict=True), left
            )

    def chunks(
        self, split: str, runs: Sequence[int] | None = None, size: int = CHUNK
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The whole split in the order of its rows, in chunks of `size` rows a run."""
        for first in range(0, self.count[split], size):
            rows = torch.arange(first, min(first + size, self.count[split]))
            if self.lifted:
                rows = rows.expand(len(self._owner) if runs is None else len(runs), -1)
            yield self.gather(split, self.place(split, rows, runs))

    def take(self, runs: Sequence[int]) -> None:
        """Keep only these runs."""
        self._owner = self._owner[list(runs)]
