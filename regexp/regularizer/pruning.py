"""Magnitude pruning on a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Choice,
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
    check_value,
    weights,
)


@dataclass(frozen=True)
class Pruning(
    Regularizer,
    kind="sparsity",
    neutral={"sparsity": 0.0},
    refuses=("weights that are shifted", "an early end"),
):
    """Set the smallest weights to zero, more and more of them, and keep them there.

    After t of the run's T steps a share s(t) of the weights is zero:

        s(t) = sparsity * (1 - (1 - clamp((t/T - start) / (end - start), 0, 1))^3)

    Every `every` steps, and at the last one, round(s(t) * n) of the n weights are masked: those
    masked before and then those of least size. The mask is applied after every step, so what
    momentum and decay add to a pruned weight is lost, and it is applied again to what is evaluated.
    In a cocktail it comes last, wherever it is listed: after averages of weights, which would be
    evaluated without the mask, and after decay, `lookahead` and `layerwise_lr_decay`, which would
    move weights from zero before the mask is made, so that nothing would be masked. A weight that
    is zero already when the mask is made stays so. Biases and normalization are left alone, the
    output layer is not. A stopping rule that goes back to earlier weights goes back to their
    sparsity. Nothing is rewound to its initial value: this is no search for lottery tickets, whose
    masks these are.

    Helps: to make a network sparse at little loss of accuracy; as a regularizer weakly, by fewer
        weights that can overfit. Zeros save no time here: matrices stay dense.
    Costs: one multiplication of the weights each step, and a sort of them every `every` steps.

    Args:
        sparsity: share of the weights that is zero at the end, in [0, 1).
        start: share of the run's steps before pruning begins, in [0, 1).
        end: share of the run's steps when `sparsity` is reached, in (start, 1].
        every: steps between two prunings, >= 1.
        scope: `global` compares all weights of the network, `layer` those of each layer, where
            every layer then has the same sparsity.

    Raises:
        ValueError: for a number out of its range or another `scope`.

    Reference:
        M. Zhu, S. Gupta, To prune, or not to prune, 2017, eq. 1 (from an initial sparsity of 0).
        https://arxiv.org/abs/1710.01878. Masks: J. Frankle, M. Carbin, The lottery ticket
        hypothesis, ICLR 2019, section 2. https://arxiv.org/abs/1803.03635
    """

    sparsity: Annotated[float, Range(0, 1, open_high=True)]
    start: Annotated[float, Range(0, 1, open_high=True)]
    end: float
    every: Annotated[int, Range(1)]
    scope: Annotated[str, Choice("global", "layer")]

    def check(self) -> None:
        check_value("end", self.end, Range(self.start, 1, open_low=True))

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {
            name: torch.ones_like(w, dtype=torch.bool) for name, w in weights(state, kinds).items()
        }

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        kept = {n: torch.where(step.memory[n], w, 0.0) for n, w in weights(new, step.kinds).items()}
        return new | (self._pruned(kept, self._share(step)) if self._updates(step) else kept)

    def track(self, step: Step, state: Tensors) -> Memory:
        if not self._updates(step):
            return step.memory
        before = self._share(step) == 0  # zeros among the initial weights are not pruned ones
        return {n: kept & ((state[n] != 0) | before) for n, kept in step.memory.items()}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return state | {n: torch.where(kept, state[n], 0.0) for n, kept in memory.items()}

    def _updates(self, step: Step) -> bool:
        done = step.index + 1
        return done % self.every == 0 or done == step.steps

    def _share(self, step: Step) -> Tensor:
        """The share of the weights that is to be zero after this step, float64, no dimension."""
        done = (step.index + 1) / step.steps
        progress = torch.as_tensor(
            (done - self.start) / (self.end - self.start), dtype=torch.double
        )
        return self.sparsity * (1 - (1 - progress.clamp(0, 1)) ** 3)

    def _pruned(self, kept: Tensors, share: Tensor) -> Tensors:
        if self.scope == "layer":
            return {name: prune([w], share)[0] for name, w in kept.items()}
        return dict(zip(kept, prune(list(kept.values()), share), strict=True))


def prune(tensors: list[Tensor], share: Tensor | float) -> list[Tensor]:
    """Set round(share * n) of all n elements to zero: those of least size, the first of equals."""
    sizes = torch.cat([w.flatten().abs() for w in tensors])
    ranks = sizes.argsort(stable=True).argsort()
    count = torch.round(torch.as_tensor(share, dtype=torch.double) * len(sizes))
    parts = (ranks >= count).split([w.numel() for w in tensors])
    return [torch.where(part.view(w.shape), w, 0.0) for part, w in zip(parts, tensors, strict=True)]
