"""Grokfast: slow gradients amplified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from regexp.regularizer.base import GradientView, Memory, Range, Regularizer, Step, Tensors
from regexp.regularizer.common import copied


@dataclass(frozen=True)
class Grokfast(Regularizer, kind="gradient", neutral={"strength": 0.0}):
    """Add strength * m to the gradient g, with m the exponential average of the gradients.

    m <- decay * m + (1 - decay) * g, with the present g in it and from the first one on, as in the
    authors' code: a low-pass filter, whose part of the gradient is amplified 1 + strength times.
    (The variant with a window, Grokfast-MA, is not here.) A constant gradient grows by that factor,
    for which optimizers that divide by the gradient's size make up.

    Helps: grokking: tasks that are learned by heart long before they are understood, beside weight
    decay. Elsewhere it is a second momentum.

    Costs: a copy of the parameters, and next to no time.

    Args:
        strength: lambda of the paper, >= 0.
        decay: of the average, in [0, 1); the paper's alpha.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        J. Lee et al., Grokfast: accelerated grokking by amplifying slow gradients, 2024,
        algorithm 2. https://arxiv.org/abs/2405.20233
    """

    strength: Annotated[float, Range(0)]
    decay: Annotated[float, Range(0, 1, open_high=True)]

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        average = copied(view.gradients)
        if step.memory:
            for name, g in view.gradients.items():
                average[name] = (self.decay * step.memory[name] + (1 - self.decay) * g).to(g)
        faster = {n: g + (self.strength * average[n]).to(g) for n, g in view.gradients.items()}
        return faster, average
