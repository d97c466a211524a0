"""SWA-Gaussian."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from regexp.regularizer.base import (
    ConfigError,
    Course,
    Memory,
    ParameterKinds,
    PredictionView,
    Range,
    Regularizer,
    Rng,
    Step,
    Tensors,
    weights,
)
from regexp.regularizer.common import advise_tail, average_tail, copied, select


@dataclass(frozen=True)
class SWAG(
    Regularizer,
    kind="ensemble",
    # one draw without a variance: a mean of several equal probabilities is equal but for rounding
    neutral={"start": 1.0, "samples": 1},
    provides=("averaged predictions", "averaged weights"),
    # Around weights that a stopping rule went back to, the variance of the end would be drawn.
    refuses=("averaged predictions", "averaged weights", "a stopping rule", "an early end"),
    averages=True,
    follows=True,
):
    """Average the predictions of weights drawn from a Gaussian around the mean of the tail.

    Mean, variances v and the last K deviations D from the running mean are those of the weights at
    the ends of the epochs after the share `start` of the steps. A draw is

        mean + sqrt(v / 2) z1 + D z2 / sqrt(2 (K - 1)),  z1 [weights], z2 [K] standard normal,

    or mean + sqrt(v) z1 for rank K = 0 (SWAG-Diagonal). Early in the tail K is the number of
    deviations so far. What is evaluated is the mean probability (in regression the mean output) of
    `samples` draws; before the tail, of the network itself. The mean is saved.

    Weights of layers are drawn; biases, normalization parameters and running statistics stay at
    the mean's. The running statistics are re-estimated for the mean, once; the paper re-estimates
    them for each draw. Beside lookahead all is of the slow weights. Beside `pruning` a weight that
    is masked within the tail is drawn all the same: let it end before. The learning rate of the
    tail is the scheduler's: scheduler=swa_lr.

    Helps:
        Calibration, more than accuracy, where the learning rate stays high enough for the weights
        to wander in the tail. With few epochs there it has little to estimate from.

    Costs:
        K + 3 copies of the weights, and `samples` passes in evaluation; no time in training.

    Args:
        start: share of the steps before the tail, in [0, 1].
        rank: K, the deviations that are kept, >= 0 but not 1.
        samples: draws of the weights in evaluation, >= 1.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        W. Maddox et al., A simple baseline for Bayesian uncertainty in deep learning, NeurIPS 2019,
        section 3, eq. 1 and algorithm 1. https://arxiv.org/abs/1902.02476
    """

    start: Annotated[float, Range(0, 1)]
    rank: Annotated[int, Range(0)]
    samples: Annotated[int, Range(1)]

    def check(self) -> None:
        if self.rank == 1:
            raise ConfigError("expected 0 or a number >= 2, got 1", key="rank")

    def advise(self, course: Course) -> Iterator[str]:
        yield from advise_tail(course, self.start)

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        some, drawn = next(iter(state.values())), weights(state, kinds)
        return {
            "count": some.new_zeros((), dtype=torch.float64),
            "mean": copied(weights(state, kinds, "all")),
            "squares": {name: torch.zeros_like(w) for name, w in drawn.items()},
            "deviations": {name: w.new_zeros(self.rank, *w.shape) for name, w in drawn.items()},
        }

    def track(self, step: Step, state: Tensors) -> Memory:
        if not step.ends_epoch:
            return step.memory
        average = average_tail(step, self.start, state)
        in_tail = average["count"] > step.memory["count"]
        mean, old = average["mean"], step.memory["mean"]
        squares, deviations = {}, {}
        for name, so_far in step.memory["squares"].items():
            new = state[name] - mean[name]
            # Welford's sum of squared deviations: no difference of large numbers
            squares[name] = so_far + in_tail * (state[name] - old[name]) * new
            kept = step.memory["deviations"][name]
            later = torch.cat([kept, new.unsqueeze(0)])[1:]
            deviations[name] = torch.where(in_tail, later, kept)
        return {**average, "squares": squares, "deviations": deviations}

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        return select(memory["count"] > 0, state | memory["mean"], state)

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        count = memory["count"]
        half = 0.5 if self.rank else 1.0
        deviations = {
            name: (half * squares / count.clamp(min=1).to(squares)).sqrt()
            for name, squares in memory["squares"].items()
        }
        outputs = []
        for index in range(self.samples):
            draw = self._draw(memory, deviations, view.state, view.rng.fold(index))
            outputs.append(view.network(view.inputs, view.state | draw))
        return torch.stack(outputs)

    def _draw(self, memory: Memory, deviations: Tensors, mean: Tensors, rng: Rng) -> Tensors:
        """Drawn weights. `deviations`: each weight's own, beside those of low rank."""
        columns = torch.clamp(memory["count"], max=self.rank)
        z, *each = rng.normals([(self.rank,), *(own.shape for own in deviations.values())])
        factors = z / (2 * (columns - 1).clamp(min=1)).sqrt()
        drawn = {}
        for (name, own), z in zip(deviations.items(), each, strict=True):
            low_rank = torch.tensordot(factors.to(own), memory["deviations"][name], dims=1)
            drawn[name] = mean[name] + own * z.to(own) + low_rank
        return drawn
