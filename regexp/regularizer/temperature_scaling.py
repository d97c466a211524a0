"""Temperature scaling of the outputs, fitted on the validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import (
    Evaluation,
    Memory,
    ParameterKinds,
    PredictionView,
    Range,
    Regularizer,
    Tensors,
)

STEPS = 20
"""Of Newton's method: some are halvings of the bracket, the last few find the digits."""


@dataclass(frozen=True)
class TemperatureScaling(
    Regularizer,
    kind="calibration",
    constant=("limit",),
    neutral={"limit": 1.0},
    tasks=("classification",),
    provides=("a prediction of one pass",),
    # The temperature is that of the last epoch's outputs, not of weights that are gone back to.
    refuses=("a stopping rule",),
):
    """Predict softmax(z / T), with the T at which the validation rows' cross-entropy is least.

    T is fitted at the end of each epoch on the outputs z of the weights that are evaluated, and
    divides those of the next epoch's evaluation; those that the run ends with are divided by the T
    that was fitted on them. It is found by Newton's method for log T within a bracket. Training
    itself and the classes that are predicted stay as they are.

    The validation loss of a run's end is that of the rows that T was fitted on, and so a little
    optimistic; T is one number, so that with a few hundred rows that is little. The test rows are
    not looked at. Each row counts once, also where those of training have weights. A learning rate
    that follows the validation loss sees that of the outputs divided by T.

    Helps: calibration, and so the loss, of networks that are too sure of their rows; where there
    are few validation rows, T itself is rough. The accuracy is what it was.

    Costs: some passes through the softmax of the validation outputs an epoch; no time in training.

    Args:
        limit: T is looked for in [1 / limit, limit]; a number in [1, 1e+06]. It is at an end where
            the validation rows are all right, say. At 1 the outputs stay as they are.

    Raises:
        ValueError: for a limit below 1.

    Reference:
        C. Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2, eq. 9.
        https://arxiv.org/abs/1706.04599
    """

    limit: Annotated[float, Range(1, 1e6)]

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some = next(iter(state.values()))
        return {"temperature": some.new_ones((), dtype=torch.float64)}

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        logits = evaluation.outputs.double() * memory["temperature"]  # `predict` divided them
        limit = torch.as_tensor(self.limit, dtype=torch.float64, device=logits.device)
        start = memory["temperature"].log()
        return {"temperature": fitted(logits, evaluation.targets.long(), limit, start)}

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        outputs = view.network(view.inputs)
        return (outputs / memory["temperature"].to(outputs)).unsqueeze(0)


def fitted(logits: Tensor, classes: Tensor, limit: Tensor, start: Tensor) -> Tensor:
    """The temperature in [1 / limit, limit] of the least mean cross-entropy, of no dimension.

    Args:
        logits: [rows, classes], float64.
        classes: the true one of each row, [rows].
        limit: >= 1, of no dimension.
        start: a guess of log T, of no dimension.
    """
    true = logits.gather(-1, classes.unsqueeze(-1)).squeeze(-1)
    low, high = -limit.log(), limit.log()  # of s = -log T, so that the factor of z is exp(s)
    s, moved = (-start).clamp(low, high), high - low
    for _ in range(STEPS):
        factor = s.exp()
        p = (factor * logits).softmax(-1)
        mean = (p * logits).sum(-1)
        variance = (p * (logits - mean.unsqueeze(-1)).square()).sum(-1)
        # the derivatives of the loss by s; by the factor itself it is convex, so it has one minimum
        slope = factor * (mean - true).mean()
        curvature = slope + factor.square() * variance.mean()
        low, high = torch.where(slope < 0, s, low), torch.where(slope < 0, high, s)
        newton, before = s - slope / curvature, s
        inside = (curvature > 0) & (newton >= low) & (newton <= high)
        # far out, where the loss is flat, steps of Newton's that do not shrink would crawl
        shrinks = (newton - s).abs() <= (moved / 2).clamp(min=1e-12)
        s = torch.where(inside & shrinks, newton, (low + high) / 2)
        moved = (s - before).abs()
    return (-s).exp()
