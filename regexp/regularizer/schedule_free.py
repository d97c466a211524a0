"""Schedule-free learning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Course,
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
    weights,
)
from regexp.regularizer.common import copied, towards


@dataclass(frozen=True)
class ScheduleFree(
    Regularizer,
    kind="averaging",
    constant=("beta",),  # by which z is known from x and y of the step before
    provides=("slow weights",),
    refuses=("slow weights",),
    averages=True,
):
    """Train at y = (1 - beta) z + beta x, where z makes the optimizer's steps and x averages them.

    x <- (1 - c) x + c z after each step, with c = r^2 / (sum of r^2 so far), r the largest learning
    rate so far: the mean of all z where the rate is constant, in which the steps of a warm-up count
    less. x is evaluated and saved. It takes the place of a rate that falls and of momentum, so
    leave out both: `scheduler=constant` or `warmup`, `optimizer.momentum=0` with SGD,
    `optimizer.betas=[0,0.999]` with Adam and AdamW, which are then the authors' SGDScheduleFree and
    AdamWScheduleFree. Momentum that is left in comes on top of that of beta.

    What is in memory is x; z is known from x and y. Decay that is listed before is that of the
    authors, taken at y. List it after all else that changes the step. What constraints and sparsity
    make of y holds, for x it is made when x is evaluated, and z follows. Running statistics of
    batch normalization are re-estimated for x. Averages beside it (`ema`, `swa`, `swag`) are of x.

    Helps: runs whose length is not fixed beforehand, or that are looked at on their way: at any
        time it is about as good as a schedule that ends there. Its best learning rate is one to ten
        times that of the optimizer with a schedule.

    Costs: a few elementwise operations on the weights and a copy of them; with batch normalization
        a pass over the training rows before each evaluation.

    Args:
        beta: share of the average x in the point y where gradients are taken, in [0, 1): 0 is
            Polyak's averaging, whose training is the plain one; towards 1 it is primal averaging.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        A. Defazio et al., The road less scheduled, NeurIPS 2024, equations 2 to 4 and algorithm 1
        (with r^2 in the place of the rate during warm-up, as in the authors' code, version 1.4).
        https://arxiv.org/abs/2405.15682. https://github.com/facebookresearch/schedule_free
    """

    beta: Annotated[float, Range(0, 1, open_high=True)]

    def advise(self, course: Course) -> Iterator[str]:
        rates = course.learning_rates()
        if rates and rates[-1] < 0.1 * max(rates):
            yield (
                f"the learning rate falls to {rates[-1] / max(rates):.1%} of its highest, and this "
                "is made to need no such schedule: take scheduler=constant or scheduler=warmup"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        x = copied(weights(state, kinds, "all"))
        zero = torch.zeros((), dtype=torch.float64, device=next(iter(x.values())).device)
        return {"x": x, "rate": zero, "total": zero.clone()}

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        share, reach = self._share(step.memory, step.learning_rate), 1 - self.beta
        at = 1 - self.beta * (1 - share)  # y - x in units of z - x, after the step

        def moved(x: Tensor, y: Tensor, stepped: Tensor) -> Tensor:
            return x + at.to(x.dtype) * ((y - x) / reach + (stepped - y))

        return {name: moved(step.memory["x"][name], old[name], w) for name, w in new.items()}

    def track(self, step: Step, state: Tensors) -> Memory:
        share = self._share(step.memory, step.learning_rate)
        way = share / (1 - self.beta * (1 - share))  # x moves by c (z - x)
        rate, total = self._counted(step.memory, step.learning_rate)
        x = {name: towards(x, state[name], way) for name, x in step.memory["x"].items()}
        return {"x": x, "rate": rate, "total": total}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return state | memory["x"]

    def _counted(self, memory: Memory, learning_rate: float | Tensor) -> tuple[Tensor, Tensor]:
        """The largest rate so far, and the sum of the squares of what it was."""
        now = torch.as_tensor(learning_rate, dtype=torch.float64, device=memory["rate"].device)
        rate = torch.maximum(memory["rate"], now)
        return rate, memory["total"] + rate.square()

    def _share(self, memory: Memory, learning_rate: float | Tensor) -> Tensor:
        """c, by which x goes towards the z of this step."""
        rate, total = self._counted(memory, learning_rate)
        # nothing has moved where all rates were 0
        return torch.where(total > 0, rate.square() / total, 0.0)
