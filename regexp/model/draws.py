"""What a network draws itself, by `nn.Dropout`, `F.dropout`, `torch.rand` and the like.

torch's random functions draw from a global state. While a network of a run is called, they are
served from the run's own stream instead, at the shape of each call: a draw is keyed by the module
that makes it, the number of that module's call in the pass, and the number of the draw in the call.
So all passes of a step see the same noise, and no module's draws move those of another. In a stack
a draw has the runs' axis in front, and each run's part of it comes from that run's stream.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from regexp.errors import ConfigError
from regexp.model.noise import note_shapes
from regexp.model.repeated import Repeated, replaced
from regexp.random import Rng

aten = torch.ops.aten

Arguments = tuple[Any, ...]

_FILLS: dict[Any, tuple[Any, Any]] = {
    aten.rand.default: (aten.empty.memory_format, aten.uniform_.default),
    aten.randn.default: (aten.empty.memory_format, aten.normal_.default),
    aten.randint.default: (aten.empty.memory_format, aten.random_.to),
    aten.randint.low: (aten.empty.memory_format, aten.random_.__getattr__("from")),
    aten.rand_like.default: (aten.empty_like.default, aten.uniform_.default),
    aten.randn_like.default: (aten.empty_like.default, aten.normal_.default),
    aten.randint_like.default: (aten.empty_like.default, aten.random_.to),
    aten.randint_like.low_dtype: (aten.empty_like.default, aten.random_.__getattr__("from")),
}
"""Functions that make a tensor of draws: what makes the tensor, and what fills it."""


class Draws:
    """The modules of a network that draw, and the passes in which they are served.

    Args:
        modules: (name, module) of those that draw; a name may stand for several modules, one of
            which is called in a pass: that of one run, and that of a stack.
        repeated: the noise layers of techniques that are called several times.
    """

    def __init__(
        self, modules: Iterable[tuple[str, nn.Module]], repeated: Repeated | None = None
    ) -> None:
        self._modules = list(modules)
        self._repeated = repeated
        self.names = frozenset(name for name, _ in self._modules)

    @contextlib.contextmanager
    def served(self, rng: Rng) -> Iterator[Served]:
        """Serve the draws of one pass from `rng`."""
        served = Served(rng)
        with contextlib.ExitStack() as stack:
            for name, module in self._modules:
                stack.enter_context(replaced(module, partial(served.call, name, module)))
            if self._repeated is not None:
                stack.enter_context(self._repeated.counted())
            yield served

    @contextlib.contextmanager
    def refused(self) -> Iterator[None]:
        """Refuse what would have other noise in a backward pass than in the forward pass."""
        with NoDraws(), self._repeated.refused() if self._repeated else contextlib.nullcontext():
            yield


class Served(TorchDispatchMode):
    """One pass of a network, in which torch's random functions draw from a run's stream.

    Args:
        rng: of the pass.

    Attributes:
        drew: the names of the modules that drew.
    """

    def __init__(self, rng: Rng) -> None:
        super().__init__()
        self.drew: set[str] = set()
        self._rng = rng.outside()
        self._calls: Counter[str] = Counter()
        self._running: list[tuple[str, Rng]] = []
        self._permutations: list[Tensor] = []

    def call(
        self, name: str, module: nn.Module, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Call a module's `forward`, with draws keyed by its name and the number of the call."""
        outermost = not self._running
        self._running.append((name, self._rng.fold("model", name, self._calls[name])))
        self._calls[name] += 1
        try:
            with self if outermost else contextlib.nullcontext(), self._open(module):
                return forward(*args, **kwargs)
        finally:
            self._running.pop()

    def _open(self, module: nn.Module) -> contextlib.AbstractContextManager[Any]:
        """Where the module's kernels would draw inside, have it take others."""
        if self._rng.device.type != "cuda":
            return contextlib.nullcontext()
        if not isinstance(module, nn.RNNBase):
            return sdpa_kernel(SDPBackend.MATH)
        cudnn = torch.backends.cudnn
        kept = {"benchmark": cudnn.benchmark, "deterministic": cudnn.deterministic}
        return cudnn.flags(enabled=False, allow_tf32=cudnn.allow_tf32, **kept)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Arguments = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if not _is_random(func) or _is_off(func, args, kwargs):
            return func(*args, **kwargs)
        name, rng = self._running[-1]
        self.drew.add(name)
        return self._serve(func, args, kwargs, rng)

    def _serve(self, func: Any, args: Arguments, kwargs: dict[str, Any], rng: Rng) -> Any:
        if func in _FILLS:
            make, fill = _FILLS[func]
            if func.overloadpacket is aten.randint and not kwargs.get("dtype"):
                kwargs = {**kwargs, "dtype": torch.int64}
            like = isinstance(args[0], Tensor)
            tensor, numbers = (args[0], args[1:]) if like else (args[-1], args[:-1])
            return self._serve(fill, (make(tensor, **kwargs), *numbers), {}, rng)
        if func is aten.randperm.default:
            return self._permutation(args, kwargs, rng)
        if (
            func in (aten.bernoulli_.float, aten.bernoulli.p)
            and args[0].device.type == rng.device.type
        ):
            return self._bernoulli(func, rng, *args)
        if func is aten.native_dropout.default:
            return self._native_dropout(rng, *args)
        if not _takes_generator(func):
            raise ConfigError(
                f"a forward draws by {func}, inside a kernel that no stream of a run's reaches",
                key="model",
            )
        return _seeded(func, args, kwargs, rng)

    def _permutation(self, args: Arguments, kwargs: dict[str, Any], rng: Rng) -> Tensor:
        """`torch.randperm`, which `vmap` calls once for every run."""
        if not self._permutations:
            device = torch.device(kwargs.get("device") or "cpu")
            self._permutations = [
                aten.randperm.generator(*args, **kwargs, generator=generator)
                for generator in rng.generators(device)
            ]
        return self._permutations.pop(0)

    def _bernoulli(self, func: Any, rng: Rng, x: Tensor, p: float = 0.5) -> Tensor:
        """1 with probability p, as `Rng.keep` draws it; p is rounded to a multiple of 2**-16."""
        if rng.runs and (x.ndim == 0 or len(x) != rng.runs):
            raise _same_for_all(func)
        level = round(p * 65536)
        bits = rng.bits16(x.shape[1:] if rng.runs else x.shape)
        ones = bits >= 32768 - level if level else torch.zeros_like(bits)
        return x.copy_(ones) if func is aten.bernoulli_.float else ones.to(x.dtype)

    def _native_dropout(
        self, rng: Rng, x: Tensor, p: float, train: bool | None = True
    ) -> tuple[Tensor, Tensor]:
        keep = self._serve(aten.bernoulli_.float, (torch.empty_like(x), 1 - p), {}, rng)
        return x * keep * (0.0 if p == 1 else 1 / (1 - p)), keep.bool()


class NoDraws(TorchDispatchMode):
    """Code that must not draw, and is refused if it does: a backward pass."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Arguments = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _is_random(func) and not _is_off(func, args, kwargs):
            raise ConfigError(
                f"the backward pass of the network draws again by {func}, other numbers than the "
                "forward pass, so that its gradients would be wrong",
                key="model",
                cure="torch.utils.checkpoint does so: leave it out, or what draws in it",
            )
        return func(*args, **kwargs)


def probe(model: nn.Module, example: Tensor, rng: Rng) -> frozenset[str]:
    """Let the `Noise` layers of `model` know their shapes, and tell which of its modules draw.

    Args:
        example: inputs [rows, *features]; one row is enough.
        rng: of the pass, which is one of a copy in training mode.
    """
    drew: set[str] = set()

    def call(trial: nn.Module, inputs: Tensor) -> None:
        with Draws(trial.named_modules()).served(rng) as served:
            trial(inputs)
        drew.update(served.drew)

    note_shapes(model, example, call)
    return frozenset(drew)


def _seeded(func: Any, args: Arguments, kwargs: dict[str, Any], rng: Rng) -> Any:
    """Call a random function of torch's with the generator of `rng`, once a run."""
    tensors = [value for value in args if isinstance(value, Tensor)]
    device = tensors[0].device if tensors else None
    if not rng.runs:
        [generator] = rng.generators(device)
        return _by_layout(func, args, kwargs, generator)
    flat = func is aten.multinomial.default  # by `vmap` its rows are those of all runs
    if flat:
        args = (args[0].unflatten(0, (rng.runs, -1)), *args[1:])
        tensors = [args[0]]
    if not tensors or any(t.ndim == 0 or len(t) != rng.runs for t in tensors):
        raise _same_for_all(func)
    results = [
        _by_layout(func, [v[run] if isinstance(v, Tensor) else v for v in args], kwargs, generator)
        for run, generator in enumerate(rng.generators(device))
    ]
    if _written(func)[:1] == (0,):
        return args[0]
    stacked = torch.stack(results)
    return stacked.flatten(0, 1) if flat else stacked


def _same_for_all(func: Any) -> ConfigError:
    return ConfigError(f"a forward draws by {func} the same for all runs of a stack", key="model")


def _by_layout(
    func: Any, args: Iterable[Any], kwargs: dict[str, Any], generator: torch.Generator
) -> Any:
    """Call `func` on contiguous tensors: draws must not depend on how tensors lie in memory."""
    given = list(args)
    plain = [value.contiguous() if isinstance(value, Tensor) else value for value in given]
    packet = func if _has_generator(func) else func.overloadpacket.generator
    result = packet(*plain, **{**kwargs, "generator": generator})
    written = _written(func)
    for index in written:
        if plain[index] is not given[index]:
            given[index].copy_(plain[index])
    return given[0] if written[:1] == (0,) else result


@cache
def _is_random(func: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in func.tags


@cache
def _has_generator(func: Any) -> bool:
    return any(argument.name == "generator" for argument in func._schema.arguments)


def _takes_generator(func: Any) -> bool:
    return _has_generator(func) or "generator" in func.overloadpacket.overloads()


@cache
def _written(func: Any) -> tuple[int, ...]:
    """The arguments that a function writes into, by position."""
    infos = [argument.alias_info for argument in func._schema.arguments]
    return tuple(index for index, info in enumerate(infos) if info and info.is_write)


def _is_off(func: Any, args: Arguments, kwargs: dict[str, Any]) -> bool:
    """Whether a function that may drop something, such as attention, is told not to."""
    for index, name, rate in _rates(func):
        return not (args[index] if index < len(args) else kwargs.get(name, rate))
    return False


@cache
def _rates(func: Any) -> list[tuple[int, str, float | None]]:
    """The arguments of a function that say how much it drops: position, name and default."""
    return [
        (index, argument.name, argument.default_value)
        for index, argument in enumerate(func._schema.arguments)
        if argument.name.startswith("dropout")  # dropout_p of attention
    ]
