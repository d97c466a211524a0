"""Streams of randomness: every draw of a run is keyed by (the run's seed, a purpose, a step).

Nothing here reads or writes a global random state, so adding one draw to a run leaves all its
other draws as they were, and a run can be entered in its middle: the stream of step 1,000 is
seeded by its key and needs no history.
"""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from regexp.random.keep import bits16, keep16, masks_of_runs

Fill = Callable[..., Tensor]
"""`fill(out, generator, *parameters)` writes one run's draws into `out` and returns it."""

Watch = Callable[["Rng", Fill, Sequence[int], torch.dtype, Sequence[Any]], Tensor]
"""`watch(rng, fill, shape, dtype, parameters)` makes a draw by `rng.make`, and notes it."""


def derive(seed: int, *path: str | int) -> int:
    """The 64-bit seed of the stream `path` of the run with `seed`.

    Args:
        seed: the run's seed.
        path: what the stream is for, for example `"dropout", step`.

    Returns:
        An integer in [0, 2**64): the BLAKE2b hash of seed and path, so streams of different
        paths are unrelated and the same path always gives the same stream.
    """
    return derive_each((seed,), *path)[0]


def derive_each(seeds: Iterable[int], *path: str | int) -> list[int]:
    """`derive` for each of some runs' seeds."""
    rest = repr((0, *path))[2:]  # of every run's key the same text
    return [
        int.from_bytes(
            hashlib.blake2b(f"({int(seed)}{rest}".encode(), digest_size=8).digest(), "little"
        )
        for seed in seeds
    ]


class Rng:
    """One run's stream for one purpose. Its n-th draw is keyed by (seed, purpose, n).

    A stack of runs uses `regexp.stack.streams.StackedRng`, which has the same methods and draws
    for every run from that run's own stream; code written for one run serves both.

    Args:
        seed: the run's seed.
        path: the purpose, see `derive`.
        device: where the draws are made and live. Streams of different kinds of device differ.

    Attributes:
        runs: how many runs draw, each from its own stream, with an axis for them; 0 for one run,
            which has no such axis.
        watch: makes the draws of this stream and of those that it is folded to, if not `make`.
    """

    runs: int = 0

    def __init__(self, seed: int, *path: str | int, device: torch.device | str = "cpu") -> None:
        self.seed = seed
        self.path = path
        self.device = torch.device(device)
        self.watch: Watch | None = None
        self._draws = 0
        self._generator: torch.Generator | None = None  # seeded anew for every draw

    def fold(self, *path: str | int) -> Rng:
        """The stream for a narrower purpose: this one's path continued by `path`."""
        folded = Rng(self.seed, *self.path, *path, device=self.device)
        folded._generator, folded.watch = self._workhorse(), self.watch
        return folded

    def outside(self) -> Rng:
        """The stream whose draws are of all runs, also within a `vmap` over them."""
        return self

    def draw(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        """The one primitive: a new tensor of `shape`, filled from this stream.

        torch's generator for the CPU (a Mersenne Twister) is seeded by the key's low 32 bits.

        Args:
            fill: writes the draws into its first argument, from the generator that is its second.
            shape: the shape for one run.
            parameters: numbers of the distribution (tensors of one element, or floats).
        """
        return self._made(fill, shape, dtype, *parameters)

    def _made(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        if self.watch is None:
            return self.make(fill, shape, dtype, *parameters)
        return self.watch(self, fill, shape, dtype, parameters)

    def make(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        """The next draw of all runs, outside of any `vmap` over them; see `draw`."""
        out = torch.empty(tuple(shape), dtype=dtype, device=self.device)
        self._write(fill, out.unsqueeze(0), [parameters])
        return out

    def _write(
        self, fill: Fill, outs: Tensor, parameters: Sequence[Sequence[Tensor | float]]
    ) -> None:
        """Write the next draw of each run into `outs`, [runs, *shape] on the stream's device.

        Args:
            parameters: of the distribution, numbers for each run.
        """
        if fill is keep16:
            masks_of_runs(outs, parameters)(self)
            return
        for out, generator, of_run in zip(outs, self.generators(), parameters, strict=True):
            fill(out, generator, *of_run)

    def again(self, draws: int, *path: str | int) -> Rng:
        """This very stream on another path, after so many draws."""
        self.path, self._draws = path, draws
        return self

    def generators(self, device: torch.device | None = None) -> Iterator[torch.Generator]:
        """The generator of the next draw, seeded; of a stack's streams one a run, one by one.

        Args:
            device: where the draw is made, if not on the stream's own.
        """
        own = device is None or device.type == self.device.type
        generator = self._workhorse() if own else torch.Generator(device)
        for key in self.next_seeds():
            yield generator.manual_seed(key)

    def next_seeds(self) -> list[int]:
        """The seeds of the next draw, one a run."""
        self._draws += 1
        return derive_each(self._seeds(), *self.path, self._draws)

    def _seeds(self) -> tuple[int, ...]:
        return (self.seed,)

    def _workhorse(self) -> torch.Generator:
        if self._generator is None:
            self._generator = torch.Generator(self.device)
        return self._generator

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform on [0, 1), float32, of `shape`."""
        return self.draw(_uniform, shape, torch.float32)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal, float32, of `shape`."""
        return self.draw(_normal, shape, torch.float32)

    def normals(self, shapes: Sequence[Sequence[int]]) -> list[Tensor]:
        """What `normal` gives for each of `shapes`, called one after another."""
        return [self.normal(shape) for shape in shapes]

    def integers(self, high: int, shape: Sequence[int]) -> Tensor:
        """Uniform on 0..high-1, int64, of `shape`."""
        return self.draw(lambda out, g: out.random_(0, high, generator=g), shape, torch.int64)

    def permutation(self, n: int, needed: Tensor | float = 1.0) -> Tensor:
        """A uniform permutation of 0..n-1, int64 [n]; where `needed` is 0, 0..n-1 as they are."""
        return self.draw(_permutation, (n,), torch.int64, needed)

    def beta(self, a: Tensor | float, b: Tensor | float, shape: Sequence[int]) -> Tensor:
        """Beta(a, b) with a, b > 0, float32, of `shape`; nan where both are 0, without a draw."""
        # X / (X + Y) of gamma variates, by their logarithms: for small a and b both underflow. What
        # follows from the draws is computed for all runs at once.
        ends = [torch.as_tensor(one, dtype=torch.float64, device=self.device) for one in (a, b)]
        drawn = self.draw(_gammas, (*shape, 4), torch.float64, *(one + 1 for one in ends))
        gammas = drawn.unbind(-1)
        x, y = (
            gamma.log() + torch.log1p(-uniform) / one.view((*one.shape, *(1 for _ in shape)))
            for gamma, uniform, one in zip(gammas[::2], gammas[1::2], ends, strict=True)
        )
        return torch.sigmoid(x - y).to(torch.float32)

    def keep(self, shape: Sequence[int], p: Tensor | float) -> Tensor:
        """The mask of inverted dropout: 1 / (1 - p) with probability 1 - p, else 0.

        The comparison is made on 16 random bits an element, which is six times cheaper than
        torch's `bernoulli_`: p is rounded to a multiple of 2**-16, and the scale is that of the
        rounded p, so that the mean is kept exactly.

        Args:
            p: share that is dropped, in [0, 1).

        Returns:
            float32 of `shape`; at p = 0 exactly 1 everywhere.
        """
        return self.draw(keep16, shape, torch.float32, p)

    def bits16(self, shape: Sequence[int]) -> Tensor:
        """Uniform int16 of `shape`: 16 random bits an element."""
        return self.draw(bits16, shape, torch.int16)


def _uniform(out: Tensor, generator: torch.Generator) -> Tensor:
    return out.uniform_(generator=generator)


def _normal(out: Tensor, generator: torch.Generator) -> Tensor:
    return out.normal_(generator=generator)


def _permutation(out: Tensor, generator: torch.Generator, needed: Tensor | float) -> Tensor:
    if needed == 0:
        return torch.arange(out.numel(), out=out)
    return torch.randperm(out.numel(), generator=generator, out=out)


def _gammas(out: Tensor, generator: torch.Generator, *shapes: Tensor | float) -> Tensor:
    """Fill [..., 2 * shapes] with gamma variates of each shape, and uniform ones after them.

    Where all shapes are 1, they are of no use to `Rng.beta`, and none are drawn.
    """
    if all(shape == 1 for shape in shapes):
        return out.fill_(torch.nan)
    parts = out.unbind(-1)
    for gamma, uniform, shape in zip(parts[::2], parts[1::2], shapes, strict=True):
        each = torch.as_tensor(shape, dtype=out.dtype, device=out.device).expand(gamma.shape)
        gamma.copy_(torch._standard_gamma(each, generator))
        uniform.uniform_(generator=generator)
    return out


def _numpys() -> Any:
    numpy = sys.modules.get("numpy")  # who draws from it has imported it
    if numpy is None:
        return None
    _, keys, *rest = numpy.random.get_state()
    return keys.tobytes(), *rest


def _torchs() -> Any:
    states = [torch.random.get_rng_state()]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states += torch.cuda.get_rng_state_all()
    return [state.numpy().tobytes() for state in states]


_GLOBAL: dict[str, Callable[[], Any]] = {
    "Python": random.getstate,
    "NumPy": _numpys,
    "torch": _torchs,
}
EVERYBODYS = tuple(_GLOBAL)
"""Whose global random states `global_states` knows."""


def seed_torch(seed: int) -> None:
    """`torch.manual_seed`, which takes 100 times as long where no GPU is there to be seeded."""
    if torch.cuda.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def global_states(whose: Iterable[str] = EVERYBODYS) -> dict[str, Any]:
    """The global random states that code may draw from behind the streams' back, by whose it is.

    Returns:
        Each as something that is equal to another one if nothing was drawn in between.
    """
    return {name: _GLOBAL[name]() for name in whose}


def moved(before: dict[str, Any]) -> list[str]:
    """Whose global random states are others than `global_states` gave before."""
    now = global_states(before)
    return [name for name in before if before[name] != now[name]]
