"""The streams of K runs, in and out of a `vmap` over the runs, and the noise drawn from them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from regexp.model.layers import Noise
from regexp.random import Fill, Rng
from regexp.stack.vmapped import varying


class Outside(torch.autograd.Function):
    """Calls `function` on whole [K, ...] tensors from within a `vmap` over K."""

    @staticmethod
    def forward(function: Callable[..., Any], *tensors: Tensor) -> Any:
        return function(*tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, function: Callable[..., Any], *tensors: Tensor) -> Any:
        whole = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[1:], strict=True)
        ]
        out = function(*whole)
        return out, tuple(0 for _ in out) if isinstance(out, tuple) else 0


class StackedRng(Rng):
    """The streams of K runs with the methods of one: draws are [K, *shape].

    Within a `vmap` over the runs (`inside`), a draw looks like one run's: [*shape].

    Args:
        seeds: one a run.
        path: the purpose, the same for all.
    """

    def __init__(
        self, seeds: Sequence[int], *path: str | int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(seeds[0], *path, device=device)
        self.seeds = tuple(seeds)
        self.runs = len(self.seeds)
        self._index: Tensor | None = None

    def fold(self, *path: str | int) -> StackedRng:
        folded = StackedRng(self.seeds, *self.path, *path, device=self.device)
        folded._generator, folded.watch = self._workhorse(), self.watch
        folded._index = self._index
        return folded

    def inside(self, index: Tensor) -> StackedRng:
        """The same streams within a `vmap` whose `index` counts the runs."""
        inner = self.fold()
        inner._index = index
        return inner

    def outside(self) -> StackedRng:
        outer = self.fold()
        outer._index = None
        return outer

    def draw(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        if self._index is None:
            return self._made(fill, shape, dtype, *parameters)

        def made(_: Tensor, *tensors: Tensor) -> Tensor:
            whole = iter(tensors)
            return self._made(
                fill,
                shape,
                dtype,
                *(next(whole) if isinstance(p, Tensor) else p for p in parameters),
            )

        return Outside.apply(made, self._index, *(p for p in parameters if isinstance(p, Tensor)))

    def make(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        """The draws of all runs, [K, *shape]; parameters are numbers, or tensors [K]."""
        out = torch.empty((self.runs, *shape), dtype=dtype, device=self.device)
        numbers = [
            v.tolist() if isinstance(v, Tensor) and v.ndim else [v] * self.runs for v in parameters
        ]
        self._write(fill, out, list(zip(*numbers, strict=True)) or [()] * self.runs)
        return out

    def _seeds(self) -> tuple[int, ...]:
        return self.seeds

    def normals(self, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
        if self._index is None:
            return super().normals(shapes)
        whole = self.outside().again(self._draws, *self.path)
        self._draws += len(shapes)
        # leaving the `vmap` takes longer than the draws of a small network
        return list(Outside.apply(lambda _: tuple(whole.normals(shapes)), self._index))


class Remembered:
    """Keeps draws that are made again and again, for `Rng.watch`: those of every evaluation.

    Args:
        most: bytes that are kept; what is drawn beyond them is drawn anew each time.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._kept: dict[Any, Tensor] = {}

    def __call__(
        self, rng: Rng, fill: Fill, shape: Sequence[int], dtype: torch.dtype, parameters: Any
    ) -> Tensor:
        path, draws = rng.path, rng._draws
        numbers = [p.tolist() if isinstance(p, Tensor) else p for p in parameters]
        key = rng._seeds(), path, draws, fill, tuple(shape), dtype, repr(numbers)
        if (kept := self._kept.get(key)) is not None:
            rng.again(draws + 1, *path)
            return kept.clone()  # who asks may write into it
        out = rng.make(fill, shape, dtype, *parameters)
        alike = getattr(fill, "__closure__", None) is None  # what it holds may be others next time
        if alike and out.nbytes <= self._left:
            self._left -= out.nbytes
            self._kept[key] = out.clone()
        return out


def draw_noise(layer: Noise, rng: Rng, rows: int) -> Tensor:
    """The noise of a layer for a batch of `rows` rows: [rows, ...], or [K, rows, ...] in a stack.

    Args:
        layer: of a network, or lifted; its numbers may differ from run to run ([K] tensors).
    """
    numbers = varying(layer)
    if not numbers:
        return layer.draw(rng, rows)
    assert isinstance(rng, StackedRng)
    single = copy.copy(layer)

    def single_run(index: Tensor, values: dict[str, Tensor]) -> Tensor:
        vars(single).update(values)
        return single.draw(rng.inside(index), rows)

    index = torch.arange(len(rng.seeds), device=rng.device)
    return torch.vmap(single_run)(index, numbers)
