"""Early stopping on the validation loss."""

from __future__ import annotations

import math
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
    Tensors,
    count,
)
from regexp.regularizer.common import copied, select


@dataclass(frozen=True)
class EarlyStopping(
    Regularizer,
    kind="stopping",
    constant=("min_delta",),
    neutral={"patience": None, "restore_best": False},
    provides=("a stopping rule",),
    refuses=("a stopping rule",),
):
    """Stop after `patience` epochs without loss < best - min_delta; end with the best weights.

    The rule is that of Keras's EarlyStopping: the best epoch is the last one that improved by more
    than min_delta, which need not be the one of the smallest loss. A loss that is not a number
    improves nothing. The weights kept are a copy of those that were evaluated (averaged ones, when
    a technique averages), and a run that reaches its last epoch ends with them too.

    Helps: where training goes on past the least validation loss; with few validation rows the best
        epoch is partly luck.

    Costs: less than none, for it saves epochs; a copy of the weights in memory.

    Args:
        patience: epochs without improvement after which the run ends, >= 0 (0 acts as 1); None
            never ends it.
        min_delta: the fall of the validation loss, in its units, that counts if exceeded, >= 0.
        start_from_epoch: the first epoch, >= 0, that is looked at.
        restore_best: whether the run ends with the weights of its best epoch.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        L. Prechelt, Early stopping - but when?, in: Neural Networks: Tricks of the Trade (1998),
        section 2.2. https://doi.org/10.1007/3-540-49430-8_3
    """

    patience: Annotated[int | None, Range(0)]
    min_delta: Annotated[float, Range(0)]
    start_from_epoch: Annotated[int, Range(0)]
    restore_best: bool

    def advise(self, course: Course) -> Iterator[str]:
        if self.patience is None:
            return
        earliest = self.start_from_epoch + 1 + max(self.patience, 1)
        if earliest >= course.epochs:
            yield (
                f"patience={self.patience} ends a run after epoch {earliest} at the earliest, and "
                f"this one has {count(course.epochs, 'epoch')}"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some = next(iter(state.values()))
        memory: dict[str, Any] = {
            "best": some.new_full((), math.inf, dtype=torch.float64),
            "epochs": some.new_zeros((), dtype=torch.int64),
            "wait": some.new_zeros((), dtype=torch.int64),
        }
        if self.restore_best:
            memory["weights"] = copied(state)
        return memory

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        loss = evaluation.metrics["loss"].to(memory["best"].dtype)
        looked = memory["epochs"] >= self.start_from_epoch
        better = looked & (loss + self.min_delta < memory["best"])
        new = {
            "best": torch.where(better, loss, memory["best"]),
            "epochs": memory["epochs"] + 1,
            "wait": torch.where(better, 0, memory["wait"] + looked),
        }
        if self.restore_best:
            new["weights"] = select(better, evaluation.state, memory["weights"])
        return new

    def stop(self, memory: Memory) -> Tensor | bool:
        if self.patience is None:
            return False
        # Never after the first epoch, nor at an epoch that improved (wait = 0) if patience is 0.
        return (memory["wait"] >= max(self.patience, 1)) & (memory["epochs"] > 1)

    def restore(self, memory: Memory, state: Tensors) -> Tensors:
        if not self.restore_best:
            return state
        return select(memory["best"] < math.inf, memory["weights"], state)
