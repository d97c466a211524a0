"""The extension point: a technique is a frozen dataclass of pure functions, written for one run.

A stack of runs lifts the functions over its run axis, so a technique sees one run's tensors
always. Its hyper-parameters that are floats may differ from run to run within a stack (inside a
stack they are then tensors of no dimension: use torch's functions on them, and no `if`); ints,
strings and flags are structure and are equal across a stack.

To add a technique: one subclass of `Regularizer` in one file here, one YAML in
`conf/regularizer/`, one test of its defining property. No other code changes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from regexp.errors import ConfigError, NotApplicable, count
from regexp.model.embedding import FeatureEmbedding
from regexp.model.kinds import ParameterKinds, parameter_kinds
from regexp.model.layers import (
    Block,
    DropoutLayer,
    EachTime,
    Inputs,
    Noise,
    Residual,
    blocks,
    hidden_weights,
    inputs,
    residuals,
    unfit,
)
from regexp.model.layouts import Layout
from regexp.model.recurrent import Recurrent, recurrents
from regexp.random import Rng
from regexp.regularizer.hyperparameters import Hyperparameters
from regexp.regularizer.ranges import Choice, Include, Range, check_value
from regexp.regularizer.schedule import Schedule
from regexp.regularizer.views import (
    Batch,
    Course,
    Evaluation,
    GradientView,
    Memory,
    PenaltyView,
    PredictionView,
    Step,
    Tensors,
    TrainingSplit,
)

__all__ = [
    "HOOKS", "KINDS", "Batch", "Block", "Choice", "ConfigError", "Course", "DropoutLayer",
    "EachTime", "Evaluation", "FeatureEmbedding", "GradientView", "Include", "Inputs", "Layout",
    "Memory", "Noise", "NotApplicable", "ParameterKinds", "PenaltyView", "PredictionView",
    "Range", "Recurrent", "Regularizer", "Residual", "Rng", "Schedule", "Step", "Tensors",
    "TrainingSplit", "blocks", "check_value", "count", "hidden_weights", "inputs", "overrides",
    "parameter_kinds", "recurrents", "residuals", "total", "unfit", "weights",
]  # fmt: skip

KINDS = ("penalty", "decay", "constraint", "sparsity", "layer", "normalization", "input", "label",
         "adversarial", "gradient", "flatness", "averaging", "ensemble", "calibration", "stopping",
         "schedule", "control")  # fmt: skip


class Regularizer(Hyperparameters):
    """One way to regularize. Every hook's default is the identity; override what you need.

    A subclass says what it is by keywords, `class L1(Regularizer, kind="penalty", ...)`, which
    become attributes of the class, and which values its fields may have by their annotations
    (`Range`, `Choice`). A value that is none of them is a ConfigError with the field as its key.

    Class keywords:
        kind: what sort of technique it is, one of `KINDS`. What constraints and sparsity make of
            the parameters holds, wherever the technique is listed.
        neutral: hyper-parameters at which the technique changes nothing, to the bit; None for a
            technique that has no such strength (batch normalization).
        tasks: kinds of datasets that the technique is for.
        data: kinds of rows that it is for: `table` [features], `series` [time, channels],
            `images` [channels, height, width].
        provides: what it brings that others may not bear, in words for a message.
        refuses: what others in the cocktail must not bring.
        averages: `weights` mixes weights of several steps, so the running statistics of batch
            normalization are re-estimated for them before they are evaluated.
        follows: `track` sees the state as techniques without this flag evaluate it (the slow
            weights of lookahead, say), and `weights` acts after theirs.
        uses_hidden: `penalty` reads `PenaltyView.hidden`.
        mixes: `batch` mixes rows with others of the batch, and keeps their number. Of several such
            techniques in a cocktail each batch gets one; their `Noise` layers have an `idle`.
        uses_rows: batches carry the numbers of their rows, and steps the training split's size and
            class counts (`Batch.rows`, `Step.split`).
        redraws: the network's initial weights come from a stream of the technique's own.
        constant: its floats that hold for the whole run, as they are used where no step is known:
            in `build`, but as the numbers of `Noise` layers, or between epochs. The others may
            follow a `Schedule` each, and are tensors of its values in the hooks of a step.
        capturable: what `batch`, `penalty`, `gradient`, `constrain` and `track` return depends on
            their arguments and on the technique's fields alone, so that a step may be recorded and
            replayed without calling them. Not inherited: a class has to say so itself, unless it
            is one of regexp's own.
    """

    kind: ClassVar[str] = ""
    neutral: ClassVar[Mapping[str, Any] | None] = None
    tasks: ClassVar[tuple[str, ...]] = ("classification", "multilabel", "regression")
    data: ClassVar[tuple[str, ...]] = ("table", "series", "images")
    provides: ClassVar[tuple[str, ...]] = ()
    refuses: ClassVar[tuple[str, ...]] = ()
    averages: ClassVar[bool] = False
    follows: ClassVar[bool] = False
    uses_hidden: ClassVar[bool] = False
    mixes: ClassVar[bool] = False
    uses_rows: ClassVar[bool] = False
    redraws: ClassVar[bool] = False
    capturable: ClassVar[bool] = False

    def __init_subclass__(
        cls,
        *,
        kind: str | None = None,
        neutral: Mapping[str, Any] | None = None,
        tasks: tuple[str, ...] | None = None,
        data: tuple[str, ...] | None = None,
        provides: tuple[str, ...] | None = None,
        refuses: tuple[str, ...] | None = None,
        averages: bool | None = None,
        follows: bool | None = None,
        uses_hidden: bool | None = None,
        mixes: bool | None = None,
        uses_rows: bool | None = None,
        constant: tuple[str, ...] | None = None,
        redraws: bool | None = None,
        capturable: bool | None = None,
    ) -> None:
        super().__init_subclass__()
        if capturable is None:
            capturable = cls.__module__.startswith("regexp.regularizer.")
        if kind is not None and kind not in KINDS:
            raise ValueError(f"{cls.__name__}: expected a kind of {', '.join(KINDS)}, got {kind!r}")
        keywords = {
            "kind": kind, "neutral": neutral, "tasks": tasks, "data": data, "provides": provides,
            "refuses": refuses, "averages": averages, "follows": follows,
            "uses_hidden": uses_hidden, "mixes": mixes, "uses_rows": uses_rows,
            "constant": constant, "redraws": redraws, "capturable": capturable,
        }  # fmt: skip
        for name, value in keywords.items():
            if value is not None:  # else as its base class says
                setattr(cls, name, value)
        for hook in [hook for hook in (*HOOKS, "init") if hook in vars(cls)]:
            ours, expected = (inspect.signature(getattr(c, hook)) for c in (cls, Regularizer))
            if len(ours.parameters) != len(expected.parameters):
                raise TypeError(
                    f"{cls.__name__}.{hook}: expected the arguments "
                    f"({', '.join(expected.parameters)}), got ({', '.join(ours.parameters)})"
                )

    def check_rows(self, shape: Sequence[int]) -> None:
        """Raise NotApplicable for rows of inputs [*features] of a shape it cannot work on."""

    def alternatives(self, others: Sequence[str]) -> tuple[str, ...]:
        """The names of techniques of which each batch gets one, of the `others` in the cocktail."""
        return ()

    def advise(self, course: Course) -> Iterable[str]:
        """Sentences for the user on numbers that do not suit the planned run, if any do not.

        They are told once, before training, after the technique's name; see `regexp.errors` for
        what cannot work at all.
        """
        return ()

    def build(self, model: nn.Module) -> nn.Module:
        """Add layers to the freshly initialised `model` (see `regexp.model.layers.blocks`).

        Raises:
            NotApplicable: if there is nothing in the model that the technique could work on, such
                as hidden blocks for one that `uses_hidden`.
        """
        if self.uses_hidden:
            blocks(model)
        return model

    def check_model(self, model: nn.Module) -> None:
        """Raise NotApplicable for a `model` with all techniques' layers that it cannot work on."""

    def batch_size(self, epoch: int, batch_size: int) -> int:
        """The rows of a step in `epoch`, from 0; what depends on it is equal across a stack."""
        return batch_size

    def batch(self, step: Step, batch: Batch) -> Batch:
        """Change inputs and targets before the step; the number of rows may change too."""
        return batch

    def penalty(
        self, step: Step, view: PenaltyView
    ) -> Tensor | float | tuple[Tensor | float, Memory]:
        """A number (no dimension) that is added to the mean loss of the batch.

        Returns:
            It, and after it the memory if it changes as well; what it holds is detached.
        """
        return 0.0

    def gradient(self, step: Step, view: GradientView) -> Tensors | tuple[Tensors, Memory]:
        """Change the gradients before the optimizer's step.

        Returns:
            Them, and after them the memory if it changes as well.
        """
        return view.gradients

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        """Change the parameters after the optimizer's step from `old` to `new`."""
        return new

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        """The memory at the start: nested dicts of tensors (copy what you keep of `state`).

        Args:
            state: parameters and buffers of floating point, by name.
            kinds: of the parameters, by name; buffers are not in it.
        """
        return {}

    def track(self, step: Step, state: Tensors) -> Memory:
        """The memory after this step, which ended in `state`."""
        return step.memory

    def keeps(self, step: Step) -> bool:
        """Whether `keep` is called after this step; the same for all runs of a stack."""
        return False

    def keep(self, step: Step, state: Tensors) -> Memory:
        """The memory after a step that `keeps`, at which `state` is what would be evaluated."""
        return step.memory

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        """The memory after an epoch."""
        return memory

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        """The parameters and buffers to evaluate and save, where training stands at `state`."""
        return state

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        """Outputs in evaluation, for techniques that average predictions.

        Returns:
            [members, rows, outputs]: the outputs whose mean prediction is evaluated, which is that
            of the probabilities in classification; one member is evaluated as it is.
        """
        return view.network(view.inputs).unsqueeze(0)

    def taken(self, inputs: Tensor) -> Tensor:
        """Rows as the network takes them, such as each once for every member of an ensemble.

        What running statistics are estimated from again goes through it, as `batch` and `predict`
        do what is trained on and predicted.

        Args:
            inputs: [rows, *features].
        """
        return inputs

    def restore(self, memory: Memory, state: Tensors) -> Tensors:
        """The parameters and buffers a run ends with, where `state` was evaluated last."""
        return state

    def stop(self, memory: Memory) -> Tensor | bool:
        """Whether the run ends after this epoch."""
        return False


HOOKS = ("advise", "build", "batch_size", "batch", "penalty", "gradient", "constrain", "track",
         "keep", "observe", "weights", "predict", "restore", "stop")  # fmt: skip


def overrides(technique: Regularizer, hook: str) -> bool:
    """Whether `technique` has a `hook` of its own."""
    return getattr(type(technique), hook) is not getattr(Regularizer, hook)


def weights(tensors: Tensors, kinds: ParameterKinds, include: str = "weights") -> Tensors:
    """The parameters that penalties, decay and constraints act on.

    Args:
        tensors: of one run, by name: its parameters, their gradients, or its state.
        kinds: of the parameters (`Step.kinds`; `parameter_kinds(model)` in `build`).
        include: `weights` takes those of linear, convolution, recurrent and attention layers, and
            leaves out biases, the parameters of normalization layers, embeddings, tokens,
            positions, and the lengths of weight normalization (see `parameter_kinds`); `all` takes
            every parameter. Neither takes a buffer.

    Raises:
        NotApplicable: for `weights` of a network that has none by the kinds of its parameters.
    """
    check_value("include", include, Choice("weights", "all"))
    if include == "all":
        return {name: value for name, value in tensors.items() if name in kinds}
    if "weight" not in kinds.values():
        raise NotApplicable(
            "no parameter of the model is the weight of a layer, going by its module and its name",
            key="regularizer",
            cure="let the module that owns it say so: parameter_kinds = {'kernel': 'weight'}",
        )
    return {name: value for name, value in tensors.items() if kinds.get(name) == "weight"}


def total(terms: list[Tensor]) -> Tensor | float:
    """The sum of `terms`, in their order; 0.0 of none."""
    return torch.stack(terms).sum() if terms else 0.0
