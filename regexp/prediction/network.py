"""A run's network as training evaluated it: in its stack, with its techniques' own prediction.

A run's outputs depend in their last bits on how many runs are computed in one call, as convolutions
do. So the stack is built again, and every run of it that was tested with this one takes its place
in the call; all have this run's weights, as nobody looks at the others' outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.dataset.base import Data, Split
from regexp.dataset.lazy import LazyInputs
from regexp.errors import ConfigError, reason_of
from regexp.prediction.description import Node
from regexp.prediction.record import ModelRecord
from regexp.regularizer.base import Tensors
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.member import PARAMETER_TYPES, Member
from regexp.stack.optimizers import Stepper
from regexp.stack.rows import StackedRows
from regexp.stack.stack import Stack
from regexp.sweeps.ingredients import build_model, build_regularizer
from regexp.training.device import device_name, device_of, device_settings

# Nothing is trained: a stack only wants to have one.
_IDLE = Stepper(
    partial(torch.optim.SGD, lr=0.0), partial(torch.optim.lr_scheduler.ConstantLR), "epoch"
)


class Network:
    """Outputs of a run's network.

    Args:
        record: of the run.
        exact: whether outputs are those of training to the bit; else the run is computed by itself,
            which is faster by the number of runs that it was tested with.
        device: as `trainer.device`; None for the run's own, or the CPU where that is not here.
    """

    def __init__(
        self, record: ModelRecord, *, exact: bool = True, device: str | None = None
    ) -> None:
        own = record.position
        self._members = record.members if exact else [record.config]
        self._together = record.together if exact else [0]
        self._own = self._together.index(own if exact else 0)
        self._record = record
        self._trainer = dict(record.config["trainer"])
        recorded = self._trainer["device"]
        if device is not None:
            self._trainer["device"] = device
        elif not device_name(torch.device(device_of(recorded))):
            self._trainer["device"] = "cpu"
        self._dtype = PARAMETER_TYPES[self._trainer["precision"]]
        self._built: tuple[Stack, Tensors] | None = None

    def outputs(self, inputs: Tensor | LazyInputs) -> Tensor:
        """Logits, or scaled values of a regression, [rows, outputs], on the CPU.

        Args:
            inputs: prepared, float32 [rows, ...], one row or more.
        """
        data = self._data(inputs)
        with device_settings(self._trainer) as device:
            if self._built is None:
                stack = self._build(inputs, device)
                self._built = stack, self._state(stack)
            stack, state = self._built
            rows = StackedRows([data] * len(stack.runs), stack.lifted, stack.device, stack.dtype)
            outputs, _ = stack.predict("test", state, self._together, rows)
        return (outputs[self._own] if stack.lifted else outputs).cpu()

    def no_outputs(self) -> Tensor:
        """Of no rows, [0, outputs]."""
        return torch.empty(0, self._record.outputs, dtype=self._dtype)

    def alone(self) -> nn.Module:
        """The network by itself, in evaluation mode, without what techniques make of it."""
        record = self._record
        data = self._data(torch.zeros(2, *record.input_shape))
        model, _ = _network(record.config, data)
        model = model.to(self._dtype)  # as in its stack
        try:
            model.load_state_dict(record.weights)
        except RuntimeError as error:
            raise _unfit(reason_of(error)) from error
        return model.eval()

    def _build(self, inputs: Tensor | LazyInputs, device: torch.device) -> Stack:
        count = len(inputs)
        example = inputs[:2] if count > 1 else torch.cat([inputs[:1]] * 2)
        data = self._data(example)
        members = []
        for config in self._members:
            model, regularizer = _network(config, data)
            members.append(Member(config["seed"], data, model, regularizer, _IDLE))
        trainer = self._trainer
        stack = Stack(members, 0, trainer["batch_size"], device, trainer["precision"])
        if stack.regularizer.uses("predict"):
            stack.memory = self._for_all(stack, self._record.memory)
        return stack

    def _state(self, stack: Stack) -> Tensors:
        weights, wanted = self._record.weights, stack.state() | stack.counts()
        if missing := [name for name in wanted if name not in weights]:
            raise _unfit(f"it has no {missing[0]}")
        state: Tensors = self._for_all(stack, {name: weights[name] for name in wanted})
        if wrong := [name for name in wanted if state[name].shape != wanted[name].shape]:
            raise _unfit(f"{wrong[0]} is of another shape")
        return state

    def _for_all(self, stack: Stack, values: Mapping[str, Any]) -> Any:
        """One run's tensors as every run's, [runs, ...], on the stack's device."""
        runs = len(stack.runs)

        def spread(value: Tensor) -> Tensor:
            value = value.to(stack.device)
            return value.expand(runs, *value.shape).contiguous() if stack.lifted else value

        return pytree.tree_map_only(Tensor, spread, dict(values))

    def _data(self, inputs: Tensor | LazyInputs) -> Data:
        """Rows that stand for all splits, so that network and stack know their shapes."""
        preparation = self._record.preparation
        split = Split(inputs, self._targets(len(inputs)))
        task, classes = preparation.task, preparation.classes
        return Data(split, split, split, task, classes, preparation.features, "", "new rows", "")

    def _targets(self, rows: int) -> Tensor:
        """Targets that nobody looks at, of their proper kind."""
        if self._record.preparation.task == "classification":
            return torch.zeros(rows, dtype=torch.int64)
        return torch.zeros(rows, self._record.outputs)


def _network(config: Node, data: Data) -> tuple[nn.Module, Cocktail]:
    regularizer = build_regularizer(config["regularizer"])
    return build_model(config["model"], data, regularizer, config["seed"]), regularizer


def _unfit(problem: str) -> ConfigError:
    return ConfigError(
        f"the weights are not those of the network that the configuration makes: {problem}",
        cure="has its code changed since?",
    )
