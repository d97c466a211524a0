"""Langevin noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch

from regexp.regularizer.base import Range, Regularizer, Step, Tensors, weights


@dataclass(frozen=True)
class Langevin(Regularizer, kind="decay", neutral={"temperature": 0.0}):
    """After each step, add noise as wide as the step is long: w <- w + sqrt(2 * lr * T) * z.

    z is standard normal and drawn anew in each step, lr the learning rate of the step. Under plain
    gradient descent the weights then wander about a minimum as the posterior exp(-loss / T) has it.
    Biases and normalization parameters are left alone.

    Helps: small networks on few rows, where weights that fit equally well should all be visited;
    beside an average of the weights (ema, swa).

    Costs: one draw a weight and step.

    Args:
        temperature: T, >= 0, in units of the mean loss. The paper's posterior over N rows is 1 / N.

    Raises:
        ValueError: for a negative number.

    Reference:
        M. Welling, Y. W. Teh, Bayesian learning via stochastic gradient Langevin dynamics, ICML
        2011, eq. 4. https://dl.acm.org/doi/10.5555/3104482.3104568
    """

    temperature: Annotated[float, Range(0)]

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        deviation = torch.as_tensor(2 * step.learning_rate * self.temperature).sqrt()
        changed = {
            name: w + deviation.to(w) * step.rng.normal(w.shape).to(w)
            for name, w in weights(new, step.kinds).items()
        }
        return new | changed
