"""The masks of dropout: 16 random bits an element, which are compared with the share to drop."""

from __future__ import annotations

import ctypes
import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch._C._functorch import maybe_current_level

from regexp.random import compiled


class Streams(Protocol):
    """What masks are drawn from: an `Rng`."""

    def next_seeds(self) -> list[int]:
        """The seeds of the next draw, one a run."""

    def generators(self) -> Iterator[torch.Generator]:
        """The generators of the next draw, seeded, one by one."""


def keep_numbers(p: Tensor | float, scaled: bool = True) -> tuple[int, float]:
    """By which numbers 16 random bits become a mask in which the share p is dropped.

    Returns:
        The least bits, as an int16, that keep an element, and what it is then: 1 / (1 - p) for p as
        a multiple of 2**-16, as a float32, or 1 if that is not wanted.
    """
    least = min(round(float(p) * 65536), 65535)
    scale = ctypes.c_float(65536 / (65536 - least)).value
    return least - 32768, scale if scaled else 1.0


def bits16(out: Tensor, generator: torch.Generator) -> Tensor:
    """Fill an int16 tensor with random bits."""
    count = out.numel()
    if count % 4 == 0:  # four elements from each 64-bit draw, in place
        out.view(-1).view(torch.int64).random_(-(2**63), None, generator=generator)
        return out
    words = torch.empty(-(-count // 4), dtype=torch.int64, device=out.device)
    words.random_(-(2**63), None, generator=generator)
    return out.copy_(words.view(torch.int16)[:count].view(out.shape))


def keep16(
    out: Tensor, generator: torch.Generator, p: Tensor | float, scaled: bool = True
) -> Tensor:
    """Fill a tensor with the mask of `Rng.keep`; where nothing is dropped, without a draw.

    Args:
        p: a number.
        scaled: whether what is kept is 1 / (1 - p), and not 1.
    """
    _by_torch(out.unsqueeze(0), [keep_numbers(p, scaled)])([generator])
    return out


def masks_of_runs(outs: Tensor, numbers: Sequence[Sequence[Any]]) -> Callable[[Streams], None]:
    """What fills the tensors of some runs as `keep16` does, from their streams' next draw.

    Args:
        outs: [runs, ...].
        numbers: the further arguments of `keep16`, for each run.
    """
    each = [keep_numbers(*of_run) for of_run in numbers]
    library = _library()
    if library is not None and outs.dtype is torch.float32 and _has_memory(outs):
        if outs.is_contiguous():
            outs = outs.view(len(outs), 1, math.prod(outs.shape[1:]))
        if outs.ndim == 3 and outs.stride(2) == 1:
            return _in_c(library, outs, each)
    write = _by_torch(outs, each)
    return lambda streams: write(streams.generators())


def _has_memory(tensor: Tensor) -> bool:
    """Whether it is no subclass nor wrapped by `torch.func`, which have none, or not all."""
    return type(tensor) is Tensor and tensor.is_cpu and maybe_current_level() is None


def _by_torch(
    outs: Tensor, each: Sequence[tuple[int, float]]
) -> Callable[[Iterable[torch.Generator]], None]:
    levels, scales = zip(*each, strict=True)
    level, scale = _number(outs, levels, torch.int16), _number(outs, scales, torch.float32)
    bits = outs.new_empty(outs.shape, dtype=torch.int16)
    of_runs = bits.unbind()

    def write(generators: Iterable[torch.Generator]) -> None:
        for one, generator, least in zip(of_runs, generators, levels, strict=True):
            if least > -32768:
                bits16(one, generator)
        torch.ge(bits, level, out=outs)  # a product of bools and floats takes five times as long
        if isinstance(scale, Tensor) or scale != 1.0:
            outs.mul_(scale)

    return write


def _number(outs: Tensor, of_runs: Sequence[float], dtype: torch.dtype) -> Any:
    """The number that all runs have, or a tensor [runs, 1, ...]."""
    if len(set(of_runs)) == 1:
        return of_runs[0]
    axes = [1] * (outs.ndim - 1)
    return torch.tensor(of_runs, dtype=dtype, device=outs.device).view(-1, *axes)


def _in_c(
    library: ctypes.CDLL, outs: Tensor, each: Sequence[tuple[int, float]]
) -> Callable[[Streams], None]:
    runs, rows, units = outs.shape
    levels = (ctypes.c_int16 * runs)(*(level for level, _ in each))
    scales = (ctypes.c_float * runs)(*(scale for _, scale in each))
    seeds = (ctypes.c_uint32 * runs)()
    sizes = [ctypes.c_int64(size) for size in (runs, rows, units, *outs.stride()[:2])]

    def write(streams: Streams) -> None:
        seeds[:] = [seed & 0xFFFFFFFF for seed in streams.next_seeds()]
        library.keep(ctypes.c_void_p(outs.data_ptr()), seeds, levels, scales, *sizes)

    return write


@functools.cache
def _library() -> ctypes.CDLL | None:
    """`keep.c`, if it draws what torch does."""
    library = compiled.library(Path(__file__).with_suffix(".c"), "keep")
    if library is None:
        return None
    ours, torchs = torch.empty(2, 1, 51, 50, dtype=torch.float32).unbind()
    _in_c(library, ours, [keep_numbers(0.3)])(_Trial())
    [generator] = _Trial().generators()
    keep16(torchs[0], generator, 0.3)
    return library if torch.equal(ours, torchs) else None


class _Trial:
    """A stream whose key has more than 32 bits."""

    def next_seeds(self) -> list[int]:
        return [2**40 + 7]

    def generators(self) -> Iterator[torch.Generator]:
        yield torch.Generator().manual_seed(*self.next_seeds())
