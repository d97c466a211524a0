"""A budget of steps or time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Course,
    Evaluation,
    Memory,
    ParameterKinds,
    Range,
    Regularizer,
    Step,
    Tensors,
    count,
)


@dataclass(frozen=True)
class Budget(
    Regularizer,
    kind="stopping",
    constant=("seconds", "share"),
    neutral={"share": 1.0, "steps": None, "seconds": None},
    provides=("an early end",),
):
    """Stop a run once it has spent a share of its steps, a number of steps, or a time.

    The run ends after the first epoch at whose end any of them is spent, and with the weights that
    it has then. Learning-rate schedules are still laid out for the whole run, which is what sets a
    budget apart from fewer epochs. For gradient descent on a linear model stopping early is a
    penalty on the weights (as ridge with a strength about 1 / (learning rate * steps)).

    A run that ends by the clock cannot be made again to the bit: another machine, or another load,
    ends it at another epoch. In a stack each run is charged its share of the time.

    Helps: to compare techniques at equal cost, and as the plainest early stopping, which looks at
    no validation data.

    Costs: less time than none, by the epochs that it saves.

    Args:
        share: of the steps that the run would have, in (0, 1].
        steps: optimizer steps, >= 1; null for no such bound.
        seconds: wall time, > 0; null for no such bound.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        I. Goodfellow, Y. Bengio, A. Courville, Deep learning, MIT Press (2016), section 7.8, eq.
        7.33-7.45 (early stopping as weight decay).
        https://www.deeplearningbook.org/contents/regularization.html
    """

    share: Annotated[float, Range(0, 1, open_low=True)]
    steps: Annotated[int | None, Range(1)]
    seconds: Annotated[float | None, Range(0, open_low=True)]

    def advise(self, course: Course) -> Iterator[str]:
        if self.seconds is not None or (self.share == 1 and self.steps is None):
            return
        before_last = course.ends[-2] if course.epochs > 1 else 0
        if not self._spent(before_last, course.steps):
            yield (
                f"the budget is not spent before the last of {count(course.epochs, 'epoch')}, "
                "so that the run is as long as without it"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        no = next(iter(state.values())).new_zeros((), dtype=torch.bool)
        return {"steps": no, "seconds": no.clone()}

    def track(self, step: Step, state: Tensors) -> Memory:
        done = step.index + 1
        spent = self._spent(done, step.steps)
        device = step.memory["steps"].device
        return {**step.memory, "steps": torch.as_tensor(spent, device=device)}

    def _spent(self, done: int, steps: int) -> Any:
        """Whether `done` of a run's `steps` are all that it may make."""
        # 0.1 * 30 is 3.0000000000000004: rounding must not add an epoch.
        spent = done >= self.share * steps - 1e-6
        return spent if self.steps is None else spent | (done >= self.steps)

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        if self.seconds is None:
            return memory
        return {**memory, "seconds": evaluation.metrics["seconds"] >= self.seconds}

    def stop(self, memory: Memory) -> Tensor:
        return memory["steps"] | memory["seconds"]
