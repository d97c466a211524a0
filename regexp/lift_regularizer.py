"""A cocktail for K runs: every hook, written for one run, lifted over the run axis by `vmap`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from regexp.layers import Noise
from regexp.random import Fill, Rng, bits16, derive, scaled_mask
from regexp.regularizer.base import Batch, Memory, Step, Tensors, View
from regexp.regularizer.cocktail import Cocktail
from regexp.vmapped import varying


class _Outside(torch.autograd.Function):
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
        device: where the draws are made.
    """

    def __init__(
        self, seeds: Sequence[int], *path: str | int, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(seeds[0], *path, device=device)
        self.seeds = tuple(seeds)
        self._index: Tensor | None = None

    def fold(self, *path: str | int) -> StackedRng:
        folded = StackedRng(self.seeds, *self.path, *path, device=self.device)
        folded._generator = self._workhorse()
        folded._index = self._index
        return folded

    def inside(self, index: Tensor) -> StackedRng:
        """The same streams within a `vmap` whose `index` counts the runs."""
        inner = self.fold()
        inner._index = index
        return inner

    def draw(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        if self._index is None:
            return self._draw_all(fill, shape, dtype, *parameters)
        return _Outside.apply(
            lambda _, *values: self._draw_all(fill, shape, dtype, *values),
            self._index,
            *(_number(value) for value in parameters),
        )

    def _draw_all(
        self, fill: Fill, shape: Sequence[int], dtype: torch.dtype, *parameters: Tensor | float
    ) -> Tensor:
        """The draws of all runs, [K, *shape]; parameters are numbers, or tensors [K]."""
        out = torch.empty((len(self.seeds), *shape), dtype=dtype, device=self.device)
        generator = self._workhorse()
        self._draws += 1
        for run, (seed, part) in enumerate(zip(self.seeds, out.unbind(), strict=True)):
            own = [v[run] if isinstance(v, Tensor) and v.ndim else v for v in parameters]
            fill(part, generator.manual_seed(derive(seed, *self.path, self._draws)), *own)
        return out

    def keep(self, shape: Sequence[int], p: Tensor | float) -> Tensor:
        if self._index is None:
            return super().keep(shape, p)

        def masks(_: Tensor, *each: Tensor) -> Tensor:
            bits = self._draw_all(bits16, shape, torch.int16)
            if not each:
                return scaled_mask(bits, p)
            return scaled_mask(bits, each[0].view(-1, *(1 for _ in shape)))

        return _Outside.apply(masks, self._index, *([p] if isinstance(p, Tensor) else []))


def _number(value: Tensor | float) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


def draw_noise(layer: Noise, rng: Rng, rows: int) -> Tensor:
    """The noise of a layer for a batch of `rows` rows: [rows, ...], or [K, rows, ...] in a stack.

    Args:
        layer: of a network, or lifted; its numbers may differ from run to run ([K] tensors).
        rng: the layer's stream at this step.
        rows: of the batch.
    """
    numbers = varying(layer)
    if not numbers:
        return layer.draw(rng, rows)
    assert isinstance(rng, StackedRng)
    own = copy.copy(layer)

    def one(index: Tensor, values: dict[str, Tensor]) -> Tensor:
        own.__dict__.update(values)
        return own.draw(rng.inside(index), rows)

    index = torch.arange(len(rng.seeds), device=rng.device)
    return torch.vmap(one)(index, {key: value.to(rng.device) for key, value in numbers.items()})


@dataclass(frozen=True)
class Network:
    """Calls a network on other inputs or with other tensors, and leaves its buffers alone.

    Args:
        module: of one run.
        parameters: its parameters, or all of its state that is not in `buffers`.
        buffers: its other tensors.
        numbers: of its `Noise` layers by module, where they differ from run to run.
    """

    module: nn.Module
    parameters: Tensors
    buffers: Tensors
    numbers: dict[str, Tensors] = field(default_factory=dict)

    def __call__(
        self, inputs: Tensor, parameters: Tensors | None = None, rng: Rng | None = None
    ) -> Tensor:
        buffers = {name: buffer.detach().clone() for name, buffer in self.buffers.items()}
        tensors = {**buffers, **(parameters or self.parameters)}
        if rng is None:
            return torch.func.functional_call(self.module, tensors, (inputs,))
        layers = {n: m for n, m in self.module.named_modules() if isinstance(m, Noise)}
        redrawn = {n: m for n, m in layers.items() if not m.shared}
        for name, layer in redrawn.items():
            own = copy.copy(layer)
            vars(own).update(self.numbers.get(name, {}))
            tensors[f"{name}.noise"] = own.draw(own.of(rng, name), len(inputs))
        before = {name: layer.training for name, layer in redrawn.items()}
        try:
            for layer in redrawn.values():
                layer.training = True  # in evaluation too
            return torch.func.functional_call(self.module, tensors, (inputs,))
        finally:
            for name, layer in redrawn.items():
                layer.training = before[name]


class LiftedCocktail:
    """The interface of `Cocktail` on tensors with a leading run axis [K, ...].

    Args:
        cocktails: one a run, equal but for their numbers.
        single: the network of one run, for penalties that call it.
        device: of the stack.
    """

    def __init__(
        self,
        cocktails: Sequence[Cocktail],
        single: nn.Module,
        device: torch.device,
    ) -> None:
        self.cocktails = list(cocktails)
        self.single = single
        self.device = device
        self.index = torch.arange(len(cocktails), device=device)
        self.numbers = self._stack_numbers()

    def _stack_numbers(self) -> dict[str, dict[str, Tensor]]:
        """The numbers that differ, [K] each in float64, as floats are; the others stay floats."""
        each = [cocktail.numbers() for cocktail in self.cocktails]
        return {
            name: {
                key: torch.tensor([n[name][key] for n in each], dtype=torch.float64).to(self.device)
                for key in fields
                if len({n[name][key] for n in each}) > 1
            }
            for name, fields in each[0].items()
        }

    def take(self, runs: Sequence[int]) -> LiftedCocktail:
        """The same for some of the runs."""
        chosen = [self.cocktails[run] for run in runs]
        return LiftedCocktail(chosen, self.single, self.device)

    def uses(self, hook: str) -> bool:
        return self.cocktails[0].uses(hook)

    def flag(self, name: str) -> bool:
        return self.cocktails[0].flag(name)

    def _lift(self, hook: Callable[..., Any], *arguments: Any) -> Any:
        """`vmap` of `hook(cocktail, index, *arguments)` over the runs."""
        template = self.cocktails[0]

        def one(index: Tensor, numbers: Any, *own: Any) -> Any:
            differs = any(numbers.values())
            return hook(template.with_numbers(numbers) if differs else template, index, *own)

        return torch.vmap(one)(self.index, self.numbers, *arguments)

    def _lift_step(self, hook: Callable[..., Any], step: Step, *arguments: Any) -> Any:
        """`_lift` of `hook(cocktail, step, *arguments)`, with each run's own `Step`."""
        rng = step.rng
        assert isinstance(rng, StackedRng)

        def one(cocktail: Cocktail, index: Tensor, lr: Tensor, memory: Memory, *own: Any) -> Any:
            inner = replace(step, rng=rng.inside(index), learning_rate=lr, memory=memory)
            return hook(cocktail, inner, *own)

        return self._lift(one, step.learning_rate, step.memory, *arguments)

    def batch_size(self, epoch: int, batch_size: int) -> int:
        return self.cocktails[0].batch_size(epoch, batch_size)

    def batch(self, step: Step, batch: Batch) -> Batch:
        return self._lift_step(lambda c, s, b: c.batch(s, b), step, batch)

    def penalty(self, step: Step, view: View) -> Tensor:
        network = view.network
        assert isinstance(network, Network)

        def one(
            cocktail: Cocktail,
            inner: Step,
            parameters: Tensors,
            buffers: Tensors,
            outputs: Tensor,
            batch: Batch,
            hidden: Tensors,
            layers: dict[str, Tensors],
        ) -> Tensor:
            call = Network(self.single, parameters, buffers, layers)
            seen = View(parameters, outputs, batch, call, view.loss, hidden)
            return torch.as_tensor(cocktail.penalty(inner, seen))

        return self._lift_step(
            one, step, view.parameters, network.buffers, view.outputs, view.batch, view.hidden,
            network.numbers,
        )  # fmt: skip

    def gradient(
        self,
        step: Step,
        gradients: Tensors,
        parameters: Tensors,
        regradient: Callable[[Tensors], Tensors],
    ) -> Tensors:
        names = list(parameters)

        def whole(*values: Tensor) -> tuple[Tensor, ...]:
            again = regradient(dict(zip(names, values, strict=True)))
            return tuple(again[name] for name in names)

        def one_regradient(point: Tensors) -> Tensors:
            values = _Outside.apply(whole, *(point[name] for name in names))
            return dict(zip(names, values, strict=True))

        return self._lift_step(
            lambda c, s, g, p: c.gradient(s, g, p, one_regradient), step, gradients, parameters
        )

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        return self._lift_step(lambda c, s, n, o: c.constrain(s, n, o), step, new, old)

    def init(self, state: Tensors) -> Memory:
        return self._lift(lambda c, _, s: c.init(s), state)

    def track(self, step: Step, state: Tensors) -> Memory:
        return self._lift_step(lambda c, s, x: c.track(s, x), step, state)

    def observe(self, memory: Memory, metrics: Mapping[str, Tensor], state: Tensors) -> Memory:
        return self._lift(lambda c, _, m, x, s: c.observe(m, x, s), memory, dict(metrics), state)

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return self._lift(lambda c, _, m, s: c.weights(m, s), memory, state)

    def predict(
        self, memory: Memory, state: Tensors, network: Network, inputs: Tensor, rng: Rng
    ) -> Tensor:
        assert isinstance(rng, StackedRng)

        def one(
            cocktail: Cocktail,
            index: Tensor,
            memory: Memory,
            state: Tensors,
            buffers: Tensors,
            layers: dict[str, Tensors],
            inputs: Tensor,
        ) -> Tensor:
            call = Network(self.single, state, buffers, layers)
            return cocktail.predict(memory, state, call, inputs, rng.inside(index))

        return self._lift(one, memory, state, network.buffers, network.numbers, inputs)

    def restore(self, memory: Memory, state: Tensors) -> Tensors:
        return self._lift(lambda c, _, m, s: c.restore(m, s), memory, state)

    def stop(self, memory: Memory) -> Tensor:
        return self._lift(lambda c, _, m: torch.as_tensor(c.stop(m)), memory)
