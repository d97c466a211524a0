"""Small functions on tensors that several techniques share. Each is pure and written for one run.

Numbers of techniques come as floats, or as tensors of no dimension inside a stack of runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from regexp.model.kinds import in_order, owner
from regexp.random import Rng
from regexp.regularizer.base import (
    Batch,
    Course,
    GradientView,
    Memory,
    NotApplicable,
    Step,
    Tensors,
)

__all__ = [
    "advise_momentum", "advise_tail", "average_tail", "backwards_as", "check_own_scale", "copied",
    "covered", "draw_like", "global_norm", "gradients_at", "in_one_order", "in_order", "mixed",
    "mixed_targets", "mixing_share", "owner", "pairs", "places", "select", "towards", "unit_norms",
]  # fmt: skip


def check_own_scale(technique: str, model: nn.Module) -> None:
    """Raise NotApplicable for a model whose layers scale weights that a technique gives a size."""
    for module in model.modules():
        if getattr(module, "scales_weights", False):
            raise NotApplicable(
                "the layers of this model divide by the root of their inputs, so that weights of a "
                "fixed size make its signals vanish",
                key=f"regularizer.{technique}",
                cure="leave the technique out, or take another model",
            )


def places(model: nn.Module, parameter: Tensor) -> int:
    """How many layers of `model` have a parameter as theirs: several where it ties them."""
    return sum(
        own is parameter for module in model.modules() for own in module._parameters.values()
    )


def copied(tensors: Tensors) -> Tensors:
    """A copy of each tensor, by name."""
    return {name: x.clone() for name, x in tensors.items()}


def in_one_order(tensors: Tensors) -> list[str]:
    """The names of `tensors` in the order that they have where nothing is parametrized.

    A module lists its parametrized weights after its biases, and others before them. Draws that go
    through all parameters, and sums that round, must not depend on that.
    """
    first: dict[str, int] = {}
    for name in tensors:
        first.setdefault(owner(name), len(first))
    moved = {owner(name) for name in tensors if ".parametrizations." in name}

    def place(name: str) -> tuple[int, bool]:
        module = owner(name)
        own = name.removeprefix(f"{module}.").removeprefix("parametrizations.")
        return first[module], module in moved and not own.startswith("weight")

    return sorted(tensors, key=place)


def global_norm(tensors: Tensors) -> Tensor:
    """The Euclidean norm of all elements of all `tensors` together, of no dimension."""
    norms = [torch.linalg.vector_norm(tensors[name]) for name in in_one_order(tensors)]
    return torch.linalg.vector_norm(torch.stack(norms))


def gradients_at(view: GradientView, moved: Tensors) -> Tensors:
    """The gradients at other values, `moved`, of some of the parameters."""
    again = view.regradient(view.parameters | moved)
    return {name: again[name] for name in view.gradients}


def unit_norms(w: Tensor) -> Tensor:
    """The Euclidean norm of the weights of each unit: [units, 1, ...].

    Args:
        w: weights of a layer, [units, inputs, ...] (`Step.layout`).
    """
    return torch.linalg.vector_norm(w, dim=tuple(range(1, w.ndim)), keepdim=True)


def towards(a: Tensor, b: Tensor, share: float | Tensor) -> Tensor:
    """a + share * (b - a), of the shape of `a` and `b`; `b` itself, to the bit, at a share of 1."""
    return torch.lerp(a, b, torch.as_tensor(share, dtype=a.dtype, device=a.device))


def backwards_as(value: Tensor, other: Tensor) -> Tensor:
    """`value`, but for rounding, whose gradient is that of `other`; of its shape.

    It is made of plain operations, so that it can be lifted and differentiated as often as `other`.
    """
    return other + (value - other).detach()


def select(condition: Tensor, tensors: Tensors, other: Tensors) -> Tensors:
    """By name of `other`: that of `tensors` where `condition` holds, else that of `other`.

    Args:
        condition: bool of no dimension.
        tensors: has all names of `other`, with the same shapes.
        other: named tensors.
    """
    return {name: torch.where(condition, tensors[name], x) for name, x in other.items()}


def advise_tail(course: Course, start: float) -> Iterator[str]:
    """What does not suit an average over the ends of the epochs in the tail of a run.

    Args:
        course: of the run.
        start: share of its steps before the tail; 1 asks for no average.
    """
    if start == 1:
        return
    averaged = sum(is_in_tail(end, start, course.steps) for end in course.ends)
    if averaged < 2:
        yield (
            f"start={start:g} leaves {averaged} of {course.epochs} epochs to average: "
            "lower it, or train for more epochs"
        )
        return
    rates = course.learning_rates()
    tail = [rate for done, rate in enumerate(rates, 1) if is_in_tail(done, start, course.steps)]
    falls = all(later <= earlier for earlier, later in pairwise(tail))
    if tail and falls and tail[-1] < 0.02 * max(rates):
        yield (
            f"the learning rate falls to {tail[-1] / max(rates):.1%} of its highest while weights "
            "are averaged, so that they hardly move and the mean is nearly the last of them; "
            "scheduler=swa_lr keeps it up"
        )


def advise_momentum(course: Course, momentum: float) -> Iterator[str]:
    """What does not suit running statistics that each step moves by `momentum`."""
    if momentum * course.steps < 1:
        left = (1 - momentum) ** course.steps
        yield (
            f"momentum={momentum:g} is too little for a run of {course.steps} steps, at whose end "
            f"{left:.0%} of the running statistics are what they began with; "
            f"momentum={min(1.0, 10 / max(course.steps, 1)):.1g} forgets that"
        )


def is_in_tail(done: int, start: float | Tensor, steps: int) -> Any:
    """Whether the state after `done` of a run's `steps` comes after the share `start` of them."""
    # 0.29 * 100 is 28.999999999999996: rounding must not begin the tail an epoch early
    return done > start * steps + 1e-6


def average_tail(step: Step, start: float | Tensor, state: Tensors) -> Memory:
    """The running mean of the states in the tail of a run, after this step.

    Args:
        step: its memory has `mean`, by name, and `count`, how many states that is the mean of
            (float64 of no dimension); any others are left out of what is returned.
        start: share of the run's steps before the tail.
        state: after this step, by name; counts if the step lies in the tail.

    Returns:
        The new `mean` and `count`.
    """
    in_tail = is_in_tail(step.index + 1, start, step.steps)
    count = step.memory["count"] + in_tail
    share = in_tail / count.clamp(min=1)
    mean = {name: towards(a, state[name], share) for name, a in step.memory["mean"].items()}
    return {"mean": mean, "count": count}


def draw_like(tensors: Tensors, draw: Callable[[Sequence[int]], Tensor]) -> Tensors:
    """For each of `tensors`, draws of its shape, by name.

    Args:
        tensors: give names and shapes.
        draw: makes draws of a given shape. It is called once, for all: a call for each tensor
            costs more than the draws of a small network.
    """
    names = in_one_order(tensors)
    sizes = [tensors[name].numel() for name in names]
    parts = draw((sum(sizes),)).split(sizes)
    return {name: part.view(tensors[name].shape) for name, part in zip(names, parts, strict=True)}


def mixing_share(rng: Rng, alpha: float | Tensor) -> Tensor:
    """How much of itself each row of a batch keeps in mixup, ~ Beta(alpha, alpha).

    Args:
        rng: the stream to draw from.
        alpha: >= 0.

    Returns:
        One share [...], float64 and exactly 1 if alpha is 0. The leading axes are those of the
        stream's draws.
    """
    strength = torch.as_tensor(alpha, dtype=torch.float64, device=rng.device)
    # Beta(0, 0) has no density, but its limit is known: all of one row.
    strength = torch.where(strength > 0, strength.clamp(min=1e-3), 0.0)
    share = rng.beta(strength, strength, ())
    return torch.where(strength > 0, share.double(), 1.0)


def pairs(rng: Rng, alpha: float | Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """How mixup mixes a batch: one share, and another row for each row.

    Args:
        rng: the stream to draw from.
        alpha: of the share (`mixing_share`).
        rows: of the batch.

    Returns:
        The share [...], and a permutation of the rows [..., rows]; at alpha 0, the rows themselves.
    """
    return mixing_share(rng, alpha), rng.permutation(rows, alpha)


def mixed(x: Tensor, share: Tensor, other: Tensor) -> Tensor:
    """share * x + (1 - share) * other, in the precision of `x`.

    Args:
        x: [rows, ...].
        share: broadcasts against `x`.
        other: of the shape of `x`.

    Raises:
        NotApplicable: if `x` holds whole numbers, of words say, which have nothing in between.
    """
    if not x.is_floating_point():
        raise NotApplicable(
            f"rows of {x.dtype} cannot be mixed",
            key="regularizer",
            cure="take manifold_mixup in a model whose Inputs slot comes after its embedding, or "
            "leave the technique out",
        )
    share = share.to(x.dtype)
    return share * x + (1 - share) * other


def mixed_targets(batch: Batch, share: Tensor, other: Tensor) -> Batch:
    """The batch with targets mixed as its rows are, and with what the mixed rows count.

    A mixed row stands for share * w * L(y) + (1 - share) * w' * L(y'), w' and y' being those of its
    other row: a loss that is linear in the targets, as cross-entropy, and squared error but for a
    constant, is that of the weight share * w + (1 - share) * w' and of targets mixed in the same
    proportions.

    Args:
        share: of the row itself, [rows] or one for all.
        other: the number of each row's other row, [rows].
    """
    targets, weights = batch.targets, batch.weights
    if weights is None:
        return batch._replace(targets=mixed(targets, share, targets[other]))
    share = share.to(weights.dtype)
    own, others = share * weights, (1 - share) * weights[other]
    counted = torch.where(own + others > 0, own / (own + others), share)
    counted = counted.reshape(-1, *(1 for _ in targets.shape[1:]))
    return batch._replace(targets=mixed(targets, counted, targets[other]), weights=own + others)


def covered(size: int, start: Tensor, length: Tensor) -> Tensor:
    """Which of the places 0 .. size-1 lie in intervals [start, start + length).

    Args:
        size: number of places.
        start: [...], whole numbers; may be negative.
        length: broadcasts against `start`; 0 covers nothing.

    Returns:
        bool [..., size].
    """
    place = torch.arange(size, device=start.device)
    start, length = start[..., None], length[..., None]
    return (place >= start) & (place < start + length)
