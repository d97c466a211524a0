"""Prechelt's stopping criteria."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Choice,
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
class Prechelt(
    Regularizer,
    kind="stopping",
    constant=("alpha",),
    neutral={"criterion": "GL", "alpha": math.inf, "restore_best": False},
    provides=("a stopping rule",),
    refuses=("a stopping rule",),
):
    """Stop by one of Prechelt's criteria on the validation loss E; end with the best weights.

    A strip is `strip` epochs, and the least E so far is E_opt. The run ends

    - GL: after the first epoch whose generalization loss 100 * (E / E_opt - 1) > alpha;
    - PQ: after the first strip at whose end GL / P > alpha, with the progress P = 1000 * (mean /
      least training loss of the strip - 1);
    - UP: after `rises` strips in a row at whose ends E was higher than at the end before.

    Losses must be positive. A loss that is not a number stops nothing. The training loss is that of
    the batches as they were trained on, without penalties. PQ and UP need not come to an end, nor
    GL: the run's epochs bound them.

    Helps: where the validation loss turns; GL is the surest way to a good network, UP and PQ give
    better ones on average, PQ where there is little overfitting (the paper's conclusions, from 12
    problems). Slower criteria gain a little for much more time.

    Costs: less time than none, by the epochs that it saves.

    Args:
        criterion: `GL`, `PQ` or `UP`.
        alpha: threshold of GL, in percent, or of PQ, >= 0; UP has none.
        rises: strips in a row of UP, >= 1; the others have none.
        strip: epochs in a strip of PQ and UP, >= 1.
        restore_best: whether the run ends with the weights of its least validation loss.

    Raises:
        ValueError: for a number out of its range or another criterion.

    Reference:
        L. Prechelt, Early stopping - but when?, in: Neural Networks: Tricks of the Trade (1998),
        section 2.2. https://doi.org/10.1007/3-540-49430-8_3
    """

    criterion: Annotated[str, Choice("GL", "PQ", "UP")]
    alpha: Annotated[float, Range(0)]
    rises: Annotated[int, Range(1)]
    strip: Annotated[int, Range(1)]
    restore_best: bool

    def advise(self, course: Course) -> Iterator[str]:
        if self.criterion == "GL":
            return
        strips = 1 if self.criterion == "PQ" else self.rises + 1
        if strips * self.strip >= course.epochs:
            yield (
                f"{self.criterion} ends a run after epoch {strips * self.strip} at the earliest, "
                f"and this one has {count(course.epochs, 'epoch')}; lower strip"
                + (" or rises" if strips > 1 else "")
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some = next(iter(state.values()))
        never = some.new_full((), math.inf, dtype=torch.float64)
        none = some.new_zeros((), dtype=torch.int64)
        memory: dict[str, Any] = {
            "best": never,
            "epochs": none,
            "training": {"sum": torch.zeros_like(never), "least": never.clone()},  # of the strip
            "before": never.clone(),  # E at the end of the strip before
            "rises": none.clone(),
            "stop": none.bool(),
        }
        if self.restore_best:
            memory["weights"] = copied(state)
        return memory

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        loss, training = (evaluation.metrics[name].double() for name in ("loss", "train_loss"))
        better = loss < memory["best"]
        new = {**memory, "best": torch.where(better, loss, memory["best"])}
        new["epochs"] = memory["epochs"] + 1
        excess = 100 * (loss / new["best"] - 1)
        if self.criterion == "GL":
            new["stop"] = excess > self.alpha
        else:
            ends = new["epochs"] % self.strip == 0
            total = memory["training"]["sum"] + training
            least = torch.minimum(memory["training"]["least"], training)
            progress = 1000 * (total / (self.strip * least) - 1)
            rises = torch.where(loss > memory["before"], memory["rises"] + 1, 0)
            spent = (
                rises >= self.rises if self.criterion == "UP" else excess / progress > self.alpha
            )
            new["stop"] = ends & spent
            new["rises"] = torch.where(ends, rises, memory["rises"])
            new["before"] = torch.where(ends, loss, memory["before"])
            new["training"] = {
                "sum": torch.where(ends, 0, total),
                "least": torch.where(ends, math.inf, least),
            }
        if self.restore_best:
            new["weights"] = select(better, evaluation.state, memory["weights"])
        return new

    def stop(self, memory: Memory) -> Tensor | bool:
        return memory["stop"]

    def restore(self, memory: Memory, state: Tensors) -> Tensors:
        if not self.restore_best:
            return state
        return select(memory["best"] < math.inf, memory["weights"], state)
