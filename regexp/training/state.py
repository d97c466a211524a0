"""Where training stands, as plain tensors and numbers, and back: a run goes on with the same bits.

What is not kept follows from the configuration (the network, the rows, the techniques) or from
the seeds and the numbers of the step and epoch: a stream needs no other position.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from regexp.metrics import names
from regexp.metrics.outputs import RowOutputs
from regexp.metrics.scores import scores
from regexp.model.noise import Noise
from regexp.regularizer.base import Tensors
from regexp.stack.running_statistics import where
from regexp.stack.stack import Stack, take
from regexp.training.checkpoint import moved


@dataclass
class Result:
    """What a run ended with.

    Attributes:
        run: its position among the stack's members.
        status: `FINISHED`, or `FAILED` with the `reason`.
        epochs: that were trained.
        seconds: its share of the stack's wall time.
        metrics: of the final weights on every split, `test/accuracy` and so on.
        outputs: of the final weights on the test split, [rows, outputs], on the CPU.
        validation_outputs: the same on the validation split.
        best: the state at the least validation loss, with its epoch.
        last: all that training would go on from, and the weights that were tested.
        diagnostics: the artifact of that name, filled in with what the data add to the metrics.
        test_outputs: the artifact of that name, filled in likewise.
        model: the files of the artifact of that name, filled in likewise.
        failed_metrics: why metrics of the user's own are missing, by name, filled in likewise.
    """

    run: int
    status: str
    reason: str
    epochs: int
    seconds: float
    metrics: dict[str, float] = field(default_factory=dict)
    outputs: Tensor = field(default_factory=lambda: torch.empty(0))
    validation_outputs: Tensor = field(default_factory=lambda: torch.empty(0))
    best: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    diagnostics: str = ""
    test_outputs: RowOutputs | None = None
    model: dict[str, bytes] = field(default_factory=dict)
    together: list[int] = field(default_factory=list)
    failed_metrics: dict[str, str] = field(default_factory=dict)


class Best(NamedTuple):
    """Each run's state at its least validation loss so far.

    Attributes:
        loss: [runs].
        epoch: int64 [runs].
        state: parameters and buffers, [runs, ...].
    """

    loss: Tensor
    epoch: Tensor
    state: Tensors

    def update(self, epoch: int, loss: Tensor, state: Tensors) -> Best:
        better = loss < self.loss  # never true of a NaN
        return Best(
            torch.where(better, loss, self.loss),
            torch.where(better, epoch, self.epoch),
            where(better, state, self.state),
        )


class TrainingState:
    """Where the training of a stack stands, beside the stack itself.

    Attributes:
        results: of the runs that ended.
        seconds: of every run so far.
        best: every run's state at its least validation loss.
        at_bars: of every run, the metrics that it has noted at those of its bars that it reached.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.results: list[Result] = []
        self.seconds = dict.fromkeys(stack.runs, 0.0)
        self.at_bars: dict[int, dict[str, float]] = {run: {} for run in stack.runs}
        none = stack.per_run([math.inf] * len(stack.runs)).to(stack.dtype)
        state = {name: value.clone() for name, value in stack.state().items()}
        self.best = Best(none, torch.zeros_like(none, dtype=torch.long), state)

    def seconds_since(self, started: float) -> list[float]:
        """The seconds of the runs in the stack, with their share of the time since `started`."""
        share = (time.perf_counter() - started) / len(self._stack.runs)
        return [self.seconds[run] + share for run in self._stack.runs]

    def passes(
        self,
        run: int,
        epoch: int,
        metrics: Mapping[str, float],
        rows: Callable[[], tuple[Tensor, Tensor]],
    ) -> bool:
        """Note what a run has reached after an epoch that has a bar; whether it goes on.

        Args:
            metrics: of the run in this epoch.
            rows: gives the run's outputs on the validation rows and their targets.
        """
        bar = self._stack.bars[run].get(epoch)
        if bar is None:
            return True
        prefix = names.EPOCH_VALIDATION
        found = {
            name.removeprefix(prefix): value
            for name, value in metrics.items()
            if name.startswith(prefix)
        }
        if set(bar.noted) - {*names.NOTED_AT_BARS, *found}:
            found |= scores(*rows(), self._stack.task, ())
        here = {names.at_bar(name, epoch): found[name] for name in bar.noted if name in found}
        self.at_bars[run] |= here
        return bar.passes(found)

    def keep(self, positions: Sequence[int]) -> None:
        """Let the runs at other positions leave the stack."""
        if len(positions) < len(self._stack.runs):
            self._stack.keep(positions)
            self.best = take(self.best, positions)

    def result(
        self,
        position: int,
        final: Tensors,
        scores: Mapping[str, float],
        outputs: Mapping[str, Tensor],
    ) -> Result:
        """What the run at a position of the stack has finished with.

        Args:
            final: the weights of all runs that are tested, [runs, ...].
            scores: of the run.
            outputs: of the run, by split.
        """
        stack, run = self._stack, self._stack.runs[position]
        epochs, seconds = stack.epoch, self.seconds[run]
        best_epoch = int(self.best.epoch.reshape(-1)[position])
        ended = {
            **self.at_bars[run],
            names.EPOCHS: float(epochs),
            names.SECONDS: seconds,
            names.BEST_EPOCH: float(best_epoch),
        }
        best = {"weights": stack.weights(self.best.state, position), "epoch": best_epoch}
        optimizer, scheduler = stack.optimizers.state(position)
        weights, state = stack.weights(final, position), stack.state()
        same = [name for name in state if final[name].data_ptr() == state[name].data_ptr()]
        last = {
            "weights": weights,
            # held and written once where no technique evaluates others
            "state": stack.of_run(state, position) | {name: weights[name] for name in same},
            "optimizer": optimizer,
            "scheduler": scheduler,
            "memory": stack.of_run(stack.memory, position),
            "epoch": epochs,
            "step": stack.step_index,
        }
        scores = {**scores, **ended}
        return Result(
            run, "FINISHED", "", epochs, seconds, scores,
            outputs["test"], outputs["validation"], best, last,
        )  # fmt: skip

    @classmethod
    def resumed(cls, stack: Stack, content: dict[str, Any]) -> TrainingState:
        """Put a new stack and its training where `content` was taken of an equal one.

        Raises:
            Unfit: it was taken of another stack; this one cannot be used any more.
        """
        state = cls(stack)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of types that do not fit
                _restore(stack, content["stack"])
            state.best = Best(**moved(content["best"], stack.device))
            state.seconds |= content["seconds"]
            state.at_bars |= content["at_bars"]
            state.results += [Result(**result) for result in content["results"]]
        except Exception as error:  # values of any type may stand anywhere
            raise Unfit(f"it is of other runs: {error}") from error
        return state

    def content(self) -> dict[str, Any]:
        """All that training goes on from, in plain tensors and numbers, not copied."""
        return {
            "stack": _snapshot(self._stack),
            "best": self.best._asdict(),
            "seconds": self.seconds,
            "at_bars": self.at_bars,
            "results": [vars(result) for result in self.results],
        }


class Unfit(Exception):  # noqa: N818, it is no error of the user's
    """A checkpoint is not one of the stack that should go on from it."""


def _snapshot(stack: Stack) -> dict[str, Any]:
    """All that the training of `stack` goes on from; not copied."""
    return {
        "runs": list(stack.runs),
        "epoch": stack.epoch,
        "step": stack.step_index,
        "parameters": {name: value.detach() for name, value in stack.parameters.items()},
        "buffers": _buffers(stack),
        "memory": stack.memory,
        "optimizers": stack.optimizers.state_dict(),
    }


@torch.no_grad()
def _restore(stack: Stack, content: dict[str, Any]) -> None:
    """Put a new stack where `_snapshot` found an equal one; it goes on with the same bits.

    Args:
        stack: made of the same members, not yet trained.
        content: what `_snapshot` returned, perhaps loaded from a file.

    Raises:
        ValueError: `content` is of another stack.
    """
    runs = list(content["runs"])
    if not runs or not set(runs) <= set(stack.runs):
        raise ValueError(f"it holds the runs {runs} of a stack of {len(stack.runs)}")
    if runs != stack.runs:
        stack.keep(runs)
    for kind, tensors in (("parameters", stack.parameters), ("buffers", _buffers(stack))):
        _fill(kind, tensors, content[kind])
    stack.optimizers.load_state_dict(content["optimizers"])
    if set(content["memory"]) != set(stack.memory):
        raise ValueError("the techniques of its memory are others")
    stack.memory = moved(content["memory"], stack.device)
    stack.enter(content["epoch"], content["step"])


def _buffers(stack: Stack) -> dict[str, Tensor]:
    """What a network keeps from step to step; noise is drawn anew in each."""
    noise = {
        f"{path}.{name}" if path else name
        for path, layer in stack.model.named_modules()
        if isinstance(layer, Noise)
        for name in layer.noise_buffers
    }
    return {name: value for name, value in stack.model.named_buffers() if name not in noise}


def _fill(kind: str, tensors: Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    if tensors.keys() != values.keys():
        raise ValueError(f"its {kind} have other names")
    for name, tensor in tensors.items():
        if tensor.shape != values[name].shape or tensor.dtype != values[name].dtype:
            raise ValueError(f"{kind} {name} is of another shape or type")
        tensor.copy_(values[name])
