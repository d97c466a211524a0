"""What the hooks of a technique see of one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.errors import NotApplicable
from regexp.model.kinds import ParameterKinds
from regexp.model.layouts import Layout, WeightLayouts
from regexp.random import Rng

__all__ = [
    "Batch", "Course", "Evaluation", "GradientView", "Memory", "PenaltyView", "PredictionView",
    "Step", "Tensors", "TrainingSplit",
]  # fmt: skip

Tensors = dict[str, Tensor]
"""Named tensors: a run's parameters, gradients or state (parameters and buffers)."""

Memory = Any
"""What a technique remembers between steps: nested dicts of tensors."""


class Batch(NamedTuple):
    """A batch of one run.

    Attributes:
        inputs: [rows, *features].
        targets: class probabilities [rows, classes], in every hook and of hard classes too;
            probabilities of labels [rows, labels]; or values [rows, outputs] in regression.
        weights: how much the loss of each row counts, [rows], 1 on average over the training
            split; None if all count alike. A technique that changes neither the number of rows nor
            their order may leave them out of what it returns.
        rows: the number of each row in the run's training split, int64 [rows]; None unless a
            technique says `uses_rows`. Of a row that is mixed with another it is its own.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor | None = None
    rows: Tensor | None = None

    def mean(self, values: Tensor) -> Tensor:
        """The mean of the loss of each row, [..., rows] -> [...], as much as the rows count."""
        return (values if self.weights is None else self.weights * values).mean(-1)

    def of_tensors(self, change: Callable[..., Tensor], *others: Batch) -> Batch:
        """The batch of `change(tensor, ...)` of its tensors and those of other batches."""
        changed = (
            None if parts[0] is None else change(*parts)
            for parts in zip(self, *others, strict=True)
        )
        return Batch(*changed)  # type: ignore[arg-type]

    def where(self, condition: Tensor, other: Batch) -> Batch:
        """This batch where a bool of no dimension holds, else another of its size."""
        return self.of_tensors(lambda ours, theirs: torch.where(condition, ours, theirs), other)

    def completed(self, before: Batch, technique: str) -> Batch:
        """The batch with the weights and numbers of rows of the one that a technique made it of.

        Raises:
            NotApplicable: it has other rows, and not what is known of those before.
        """
        whole = self
        for name, word in (("weights", "how much they count"), ("rows", "which they are")):
            known = getattr(before, name)
            if known is None or getattr(self, name) is not None:
                continue
            if len(self.targets) != len(known):
                raise NotApplicable(
                    f"changes the number of rows and does not say {word}",
                    key=f"regularizer.{technique}",
                    cure=f"let its `batch` return their {name} as well",
                )
            whole = whole._replace(**{name: known})
        return whole


@dataclass(frozen=True)
class Course:
    """The course of a run as it is planned, before anything is trained.

    Attributes:
        ends: optimizer steps done at the end of each epoch.
        learning_rates: `learning_rates()` gives that of every step, or nothing where that follows
            the validation loss; it is computed when it is asked for.
    """

    ends: Sequence[int]
    learning_rates: Callable[[], Sequence[float]]

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        return self.ends[-1] if self.ends else 0

    @property
    def epochs(self) -> int:
        """Epochs of the run."""
        return len(self.ends)


@dataclass(frozen=True)
class TrainingSplit:
    """What techniques that say `uses_rows` know of a run's training split.

    Attributes:
        rows: how many it has; the same for all runs of a stack.
        class_counts: rows of each class, or with each label, float64 [classes]; None in
            regression.
    """

    rows: int
    class_counts: Tensor | None


pytree.register_dataclass(TrainingSplit)  # so that `vmap` sees its tensors


@dataclass(frozen=True)
class Step:
    """Where a run stands, and what a hook may use beside its tensors.

    Attributes:
        rng: the stream of this technique's hook in this run at this step.
        shared: a stream of this technique at this step that is the same in all its hooks, and in
            those of its `Noise` layers that are `shared`.
        index: optimizer steps done before this one.
        steps: optimizer steps that the whole run has.
        epoch: epochs done before this one.
        ends_epoch: whether this is the last step of its epoch.
        learning_rate: of this step (a float, or a tensor of no dimension in a stack).
        memory: what the technique's `init` and `track` returned last.
        kinds: of the network's parameters, by name (see `regexp.model.kinds.parameter_kinds`).
        layouts: how weights lie that are not [units, inputs, ...]; see `layout`.
        split: of the run, for techniques that say `uses_rows`.
    """

    rng: Rng
    shared: Rng
    index: int
    steps: int
    epoch: int
    ends_epoch: bool
    learning_rate: float | Tensor
    memory: Memory
    kinds: ParameterKinds
    layouts: WeightLayouts = field(default_factory=dict)
    split: TrainingSplit | None = None

    @property
    def index_tensor(self) -> Tensor:
        """`index` as float64 of no dimension, for what a step that was recorded depends on."""
        index: Any = self.index  # of a step that is being recorded it is a stand-in
        if not isinstance(index, int):
            return index.tensor
        return torch.tensor(index, dtype=torch.float64, device=self.rng.device)

    def layout(self, name: str) -> Layout:
        """How the weights of this name lie: which of their axes is that of the units."""
        return self.layouts.get(name, Layout())


pytree.register_dataclass(Step)  # so that `vmap` sees its tensors


class PenaltyView(NamedTuple):
    """What `penalty` sees of one run.

    Attributes:
        parameters: all of the network's parameters by name.
        outputs: the network's outputs [rows, outputs] on `batch`.
        batch: what the network was trained on in this step (after every `batch` hook).
        network: `network(inputs, parameters=None, rng=None)` calls the network again, on other
            inputs or with other parameters, in training mode, with the same noise or, given a
            stream, with noise drawn from it; it leaves the running statistics of normalization
            layers alone. Differentiate it with `torch.func` (`grad`, `vjp`, `jvp`), which works
            in a stack too.
        loss: `loss(outputs, targets)`, the plain loss of each row [rows], or the user's own
            (`trainer.loss`); targets as in `batch`. `batch.mean` takes its mean as the rows count.
        hidden: outputs of the hidden blocks by name, of the type of `outputs` (under autocast they
            are shorter), if a technique says `uses_hidden`.
    """

    parameters: Tensors
    outputs: Tensor
    batch: Batch
    network: Callable[..., Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    hidden: Tensors


class GradientView(NamedTuple):
    """What `gradient` sees of one run.

    Attributes:
        gradients: of the loss with its penalties, by parameter.
        parameters: the point they were taken at; not to be changed in place.
        regradient: gives the gradients, of the same names, at other parameters, on the same batch
            and noise; running statistics are left alone.
    """

    gradients: Tensors
    parameters: Tensors
    regradient: Callable[[Tensors], Tensors]


class Evaluation(NamedTuple):
    """What an epoch ended with, as `observe` sees it.

    Attributes:
        metrics: `loss`, `accuracy` ... on the validation split, `train_loss` (the plain loss of
            the epoch's batches) and `seconds` (the run's share of the wall time so far), each of
            no dimension.
        state: the parameters and buffers that were evaluated.
        outputs: of the validation split, [rows, outputs], as they were evaluated: those of several
            members as their mean prediction.
        targets: of the validation split: classes [rows], or [rows, outputs].
    """

    metrics: dict[str, Tensor]
    state: Tensors
    outputs: Tensor
    targets: Tensor


class PredictionView(NamedTuple):
    """What `predict` sees of one run in evaluation.

    Attributes:
        state: the parameters and buffers that are evaluated.
        network: `network(inputs, state=None, rng=None)` calls the network in evaluation mode, at
            `state` or others; given a stream, its `Noise` layers are on, with noise drawn from it.
        inputs: [rows, *features].
        rng: the technique's stream for these rows, the same in every epoch.
    """

    state: Tensors
    network: Callable[..., Tensor]
    inputs: Tensor
    rng: Rng
