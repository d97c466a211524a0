"""Shrink and perturb: weights shrunk and perturbed at equal stages of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

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
from regexp.regularizer.common import draw_like


@dataclass(frozen=True)
class ShrinkAndPerturb(
    Regularizer,
    kind="decay",
    neutral={"shrink": 1.0, "noise": 0.0},
    refuses=("slow weights",),  # they stay, and pull the others back
):
    """A few times in a run, shrink the weights and add noise: w <- shrink * w + noise * s * z.

    z is standard normal, drawn anew each time, and s the root mean square of the initial weights of
    the layer, so that s * z is about as another initialization (in the authors' code it is one; in
    the paper's formula noise * s is sigma, the same for all layers). It happens after each of
    `times` + 1 equal stages of the run but the last, which is left for training: after steps, not
    epochs. Biases and normalization parameters stay, as does what the optimizer remembers.

    The authors do it once, before training goes on with more data. Between stages of a run on the
    same rows it is the partial re-initialization that Zaidi et al. tried. Validation losses rise
    after it: give rules that stop a run the patience of a stage. The learning rate has to be high
    enough after the last time; a schedule with as many restarts is
    scheduler=cosine_annealing_warm_restarts.

    Helps:
        Networks that lost the ability to learn on (plasticity): training that goes on from weights
        which were learned on other or fewer rows. In a single run on one set of rows, gains are
        small beside other regularization.

    Costs:
        One draw a weight each time, and asking in every step whether it is due, which shows on the
        smallest networks alone. Recovering takes some of the run's steps.

    Args:
        shrink: factor of the weights, in [0, 1].
        noise: of what is added, >= 0, in root mean squares of the layer's initial weights.
        times: in a run, >= 0.

    Raises:
        ValueError: for a number out of its range.

    Reference:
        J. T. Ash, R. P. Adams, On warm-starting neural network training, NeurIPS 2020, section 5.
        https://arxiv.org/abs/1910.08475; S. Zaidi et al., When does re-initialization work?,
        2022, section 3. https://arxiv.org/abs/2206.10011
    """

    shrink: Annotated[float, Range(0, 1)]
    noise: Annotated[float, Range(0)]
    times: Annotated[int, Range(0)]

    def advise(self, course: Course) -> Iterator[str]:
        acts = self.shrink != 1 or self.noise != 0
        if acts and 0 < course.epochs <= self.times:
            yield (
                f"times={self.times} leaves less than an epoch between two times, of "
                f"{course.epochs} in the run: lower it, or train for more epochs"
            )

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        return {name: w.square().mean().sqrt() for name, w in weights(state, kinds).items()}

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        if not self._is_due(step):
            return new
        layers = weights(new, step.kinds)
        z = draw_like(layers, step.rng.normal)
        changed = {
            name: self.shrink * w + self.noise * step.memory[name] * z[name].to(w)
            for name, w in layers.items()
        }
        return new | changed

    def _is_due(self, step: Step) -> bool:
        """Whether a stage of the run ends with this step, and another one follows."""
        stages, done = self.times + 1, step.index + 1
        return done * stages // step.steps > (done - 1) * stages // step.steps and done < step.steps
