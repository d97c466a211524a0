"""Snapshot ensemble."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Course,
    Memory,
    PredictionView,
    Range,
    Regularizer,
    Step,
    Tensors,
    count,
)
from regexp.regularizer.common import copied


@dataclass(frozen=True)
class Snapshot(
    Regularizer,
    kind="ensemble",
    neutral={"snapshots": 1},
    provides=("averaged predictions",),
    refuses=("averaged predictions",),
):
    """Average the predictions of the networks at the ends of M cycles of the learning rate.

    A cycle has ceil(steps / M) steps, so that a run has M of them, or fewer where M does not divide
    its steps. Each ends with a snapshot of the weights and running statistics that would be
    evaluated then, the last with the run: beside `ema`, `swa` or `lookahead` of their averages.
    What is evaluated is the mean probability (in regression the mean output) of the snapshots so
    far, and before the first one the network itself.

    The cycles of the learning rate are the scheduler's, and make the snapshots differ: for M = 5,
    scheduler=cosine_annealing_warm_restarts scheduler.T_0.share=0.2 (its default is four cycles).
    A stopping rule shortens the ensemble, and going back to earlier weights does not change it. The
    weights that are saved are the last ones; the snapshots are in the saved memory.

    Helps:
        Nearly as an ensemble of M runs does, above all the calibration, for the training time of
        one, if a cycle is long enough to reach a good network from a high learning rate.

    Costs:
        M copies of the weights, and up to M passes in evaluation; no time in training.

    Args:
        snapshots: M, >= 1; 1 is the network itself.

    Raises:
        ValueError: for a number below 1.

    Reference:
        G. Huang et al., Snapshot ensembles: train 1, get M for free, ICLR 2017, section 3.
        https://arxiv.org/abs/1704.00109
    """

    snapshots: Annotated[int, Range(1)]

    def advise(self, course: Course) -> Iterator[str]:
        if self.snapshots == 1:
            return
        taken = -(-course.steps // self._length(course.steps))
        if taken < self.snapshots:
            yield (
                f"the run's {course.steps} steps have {taken} cycles of "
                f"{self._length(course.steps)}, and so {taken} snapshots, not {self.snapshots}"
            )
        cycles = count_cycles(course.learning_rates())
        if cycles and cycles != self.snapshots:
            yield (
                f"the learning rate has {count(cycles, 'cycle')} for {self.snapshots} snapshots"
                + (", which so are stages of one descent and much alike" if cycles == 1 else "")
                + "; scheduler=cosine_annealing_warm_restarts "
                f"scheduler.T_0.share={1 / self.snapshots:.10g} has as many"
            )

    def _length(self, steps: int) -> int:
        """Steps of a cycle."""
        return max(1, -(-steps // self.snapshots))

    def keeps(self, step: Step) -> bool:
        done = step.index + 1
        ends = done % self._length(step.steps) == 0 or done == step.steps
        return ends and self.snapshots > 1

    def keep(self, step: Step, state: Tensors) -> Memory:
        return {**step.memory, str(len(step.memory)): copied(state)}

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        members = list(memory.values()) or [view.state]
        return torch.stack([view.network(view.inputs, member) for member in members])


def count_cycles(rates: Sequence[float]) -> int:
    """How often a learning rate falls: it rises again at the end of each cycle but the last.

    A rise at the start is a warm-up, and a rate that never changes has one cycle; none has none.
    """
    moves = [later > earlier for earlier, later in pairwise(rates) if later != earlier]
    return bool(rates) + sum(rises and not before for before, rises in pairwise(moves))
