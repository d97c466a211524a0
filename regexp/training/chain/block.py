"""Some runs of a stack in memory of their own, in which they make their steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from regexp.model.layers import DropoutLayer
from regexp.random import Rng
from regexp.training.chain.activations import activation_of
from regexp.training.chain.dropout import Dropout
from regexp.training.chain.kernels import (
    CompiledBatchNorm,
    compiled_cross_entropy,
    joined,
    kernels,
)
from regexp.training.chain.layers import (
    BatchNorm,
    Elementwise,
    Inputs,
    Layer,
    Linear,
    Scratch,
)
from regexp.training.chain.losses import LossAndGradient, cross_entropy
from regexp.training.chain.structure import Link
from regexp.training.chain.updates import Flat

Pair = tuple[Tensor, Tensor]
"""A parameter and its gradient."""


class Pass:
    """Forward and backward pass of some runs over batches of so many rows.

    Args:
        links: of the chain, with the dropout of these runs.
        pairs: parameters with their gradients, [runs, ...], by name.
        buffers: running statistics, [runs, ...], by name.
        units: of the network's inputs.
    """

    def __init__(
        self,
        links: Sequence[Link],
        pairs: dict[str, Pair],
        buffers: dict[str, Tensor],
        loss: LossAndGradient,
        rows: int,
        units: int,
    ) -> None:
        weight = pairs[links[-1].key("weight")][0]
        runs, dtype = len(weight), weight.dtype
        self._loss = loss
        self._norm: Callable[..., BatchNorm] = BatchNorm
        if (library := kernels(dtype)) is not None:
            self._norm = partial(CompiledBatchNorm, library)
            if loss is cross_entropy:
                self._loss = compiled_cross_entropy(library)
        self._entry: Inputs | Linear = Inputs(rows, runs, units, dtype)
        self._layers: list[Layer] = [self._entry]
        self.dropouts: list[tuple[Link, Dropout]] = []
        for index, link in enumerate(links):
            following = type(links[index + 1].module) if index + 1 < len(links) else None
            self._append(link, following, pairs, buffers)
        if isinstance(first := self._layers[1], Linear):  # which reads inputs as they lie
            self._entry = first
            del self._layers[0]
        self._layers = joined(self._layers)
        output = self._layers[-1]
        assert isinstance(output, Linear)
        self._outputs = output.product
        self._gradient = torch.empty_like(self._outputs)
        self._connect(rows * runs)

    def _append(
        self,
        link: Link,
        following: type[nn.Module] | None,
        pairs: dict[str, Pair],
        buffers: dict[str, Tensor],
    ) -> None:
        module, before = link.module, self._layers[-1]
        if isinstance(module, nn.Linear):
            scale = before.scale if isinstance(before, Dropout) else 1.0
            layer: Layer = Linear(
                before.output, pairs[link.key("weight")], pairs.get(link.key("bias")), scale,
                columns=following is None, normalized=following is nn.BatchNorm1d,
            )  # fmt: skip
        elif isinstance(module, nn.BatchNorm1d):
            assert module.momentum is not None
            layer = self._norm(
                before, pairs[link.key("weight")], pairs[link.key("bias")],
                (buffers[link.key("running_mean")], buffers[link.key("running_var")]),
                module.momentum, module.eps,
            )  # fmt: skip
        elif activation := activation_of(module):
            layer = Elementwise(before, activation)
        else:
            layer = Dropout(before, link.p, scaled=following is not nn.Linear)
            self.dropouts.append((link, layer))
        self._layers.append(layer)

    def _connect(self, places: int) -> None:
        """Let every layer know where gradients lie, from the last to the first that has any."""
        largest = max(layer.output[0, 0].numel() for layer in self._layers)
        scratch = Scratch(places * largest, self._outputs.dtype)
        trained = [isinstance(layer, Linear | BatchNorm) for layer in self._layers].index(True)
        self._backward = self._layers[trained:][::-1]
        gradient = self._gradient.permute(2, 0, 1)
        for layer in self._backward[:-1]:
            gradient = layer.connect(gradient, scratch)
        first = self._backward[-1]
        if isinstance(first, Linear):
            first.begin(gradient)
        else:
            first.connect(gradient, scratch)

    def step(self, inputs: Tensor, targets: Tensor, weights: Tensor | None) -> Tensor:
        """Set the gradients of a batch.

        Args:
            inputs: [runs, rows, units].
            targets: [runs, rows] or [runs, rows, outputs].
            weights: how much rows count, [runs, rows]; None if all alike.

        Returns:
            The mean loss of each run, [runs].
        """
        rows = inputs.shape[1]
        self._entry.take(inputs)
        for layer in self._layers:
            layer.forward()
        losses = self._loss(self._outputs, targets, self._gradient)
        if weights is not None:
            losses = losses * weights
            self._gradient.mul_(weights.unsqueeze(1))
        self._gradient.mul_(1 / rows)
        for layer in self._backward:
            layer.backward()
        return losses.sum(1).mul_(1 / rows)


class Block:
    """Some runs of a stack: their parameters, running statistics and states as flat vectors.

    Args:
        links: of the chain, with the dropout of these runs.
        shapes: of the parameters, [runs, ...], by name.
        statistics: shapes of the running statistics.
        states: how many vectors an optimizer keeps beside the parameters.
        units: of the network's inputs.
    """

    def __init__(
        self,
        links: Sequence[Link],
        shapes: dict[str, torch.Size],
        statistics: dict[str, torch.Size],
        states: int,
        loss: LossAndGradient,
        units: int,
        dtype: torch.dtype,
    ) -> None:
        self._links, self._loss, self._units = links, loss, units
        make = list(shapes.values())
        self.parameters, self._gradients = Flat(make, dtype), Flat(make, dtype)
        self.states = [Flat(make, dtype) for _ in range(states)]
        self.statistics = Flat(list(statistics.values()), dtype)
        both = zip(self.parameters.parts, self._gradients.parts, strict=True)
        self._pairs = dict(zip(shapes, both, strict=True))
        self._buffers = dict(zip(statistics, self.statistics.parts, strict=True))
        self._passes: dict[int, Pass] = {}

    def drop(self, links: Sequence[Link]) -> None:
        """Know what is dropped of other runs: `links` with their dropout."""
        self._links = links
        shares = {link.name: link.p for link in links}
        for one in self._passes.values():
            for link, dropout in one.dropouts:
                dropout.drop(shares[link.name])

    @property
    def vectors(self) -> list[Flat]:
        """Parameters, gradients and states, as `Update.step` takes them."""
        return [self.parameters, self._gradients, *self.states]

    def gradients(
        self, rng: Rng, inputs: Tensor, targets: Tensor, weights: Tensor | None
    ) -> Tensor:
        """Draw the noise of a step from the runs' streams and set its gradients.

        Returns:
            The mean loss of each run, [runs].
        """
        rows = inputs.shape[1]
        if rows not in self._passes:
            self._passes[rows] = Pass(
                self._links, self._pairs, self._buffers, self._loss, rows, self._units
            )
        one = self._passes[rows]
        for link, dropout in one.dropouts:
            assert isinstance(link.module, DropoutLayer)
            dropout.draw(link.module.of(rng, link.name))
        return one.step(inputs, targets, weights)
