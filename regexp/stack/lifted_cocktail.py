"""A cocktail for K runs: every hook, written for one run, lifted over the run axis by `vmap`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from regexp.random import Rng
from regexp.regularizer.base import Batch, Memory, Step, Tensors, View
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.network import Network
from regexp.stack.streams import Outside, StackedRng


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
            call = Network(self.single, parameters, buffers, layers, network.half)
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
            values = Outside.apply(whole, *(point[name] for name in names))
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
            call = Network(self.single, state, buffers, layers, network.half)
            return cocktail.predict(memory, state, call, inputs, rng.inside(index))

        return self._lift(one, memory, state, network.buffers, network.numbers, inputs)

    def restore(self, memory: Memory, state: Tensors) -> Tensors:
        return self._lift(lambda c, _, m, s: c.restore(m, s), memory, state)

    def stop(self, memory: Memory) -> Tensor:
        return self._lift(lambda c, _, m: torch.as_tensor(c.stop(m)), memory)
