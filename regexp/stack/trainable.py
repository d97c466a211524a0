"""What one step of training needs: a network, its techniques, and the passes through both.

`regexp.training.train_step` is written against this class. `Stack` is one, for K runs with
their data and optimizers; `Regularized` is one, for a loop of the user's own. In the comments,
[runs, ...] is [K, ...] in a stack of K runs, and [...] for one run, which has no such axis.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.metrics.loss import LOSSES, Loss
from regexp.model.fused_lstm import differentiated_once
from regexp.model.kinds import parameter_kinds
from regexp.model.layers import Noise
from regexp.model.layouts import weight_layouts
from regexp.random import Rng
from regexp.regularizer.base import Evaluation, Memory, Step, Tensors, TrainingSplit
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.hidden_blocks import HiddenBlocks
from regexp.stack.lift import chain
from regexp.stack.lifted_cocktail import LiftedCocktail
from regexp.stack.network import Network, draws_of, in_turn
from regexp.stack.streams import StackedRng, draw_noise
from regexp.stack.vmapped import varying


class Trainable(ABC):
    """A network and its techniques. A subclass gives `steps` and what is abstract here.

    Args:
        model: of one run, or lifted, in training mode; its `Noise` layers know their shapes.
        single: the network of one run, for techniques that call it.
        seeds: one a run.
        task: a key of `regexp.metrics.loss.LOSSES`.
        classes: how many; 0 in regression.
        autocast: whether the network computes in bfloat16.
        drawing: the names of the modules that draw (`regexp.model.draws.probe`).
        own_loss: a user's loss in the place of the task's plain one.

    Attributes:
        loss: `loss(outputs, targets)` of each row, the plain one or a user's; targets as they are,
            or `soft`.
        lifted: whether there is a run axis.
        single: the network of one run.
        kinds: of the parameters, by name.
        step_index: optimizer steps done.
        epoch: epochs done.
        steps: optimizer steps of the whole run.
        autocast: whether the network computes in bfloat16.
        split: of the runs, if a technique says `uses_rows`.
        differentiates_once: whether nobody differentiates the gradients of a step in turn, which
            who makes the steps knows.

    Raises:
        ValueError: if hidden blocks are asked for that a stack cannot show.
    """

    steps: int

    def __init__(
        self,
        model: nn.Module,
        single: nn.Module,
        regularizer: Cocktail | LiftedCocktail,
        seeds: Sequence[int],
        task: str,
        classes: int,
        dtype: torch.dtype,
        autocast: bool = False,
        drawing: Collection[str] = (),
        own_loss: Loss | None = None,
    ) -> None:
        self.model = model
        self.regularizer = regularizer
        self.task, self.own_loss = task, own_loss
        self.loss: Loss = own_loss or LOSSES[task]
        self.dtype = dtype
        self.lifted = isinstance(regularizer, LiftedCocktail)
        self.split: TrainingSplit | None = None
        self.differentiates_once = False
        self.step_index = 0
        self.epoch = 0
        self.parameters: dict[str, nn.Parameter] = dict(model.named_parameters())
        self.device = next((p.device for p in self.parameters.values()), torch.device("cpu"))
        self.kinds, self._layouts = parameter_kinds(single), weight_layouts(single)
        self.single = single
        self._seeds = list(seeds)
        self._classes = classes
        self.autocast = autocast
        self._draws = draws_of(drawing, single, model)
        self._stream: Rng | None = None  # what the network draws from in this step
        # by owner: a forward may put another tensor in the place of one, as `self.mean = ...` does
        self._held = [
            (name, model.get_submodule(path)._buffers, last)
            for name, _ in model.named_buffers()
            for path, _, last in (name.rpartition("."),)
        ]
        self._noise = [(n, m) for n, m in model.named_modules() if isinstance(m, Noise)]
        self._of_noise = tuple(f"{name}." for name, _ in self._noise)  # begin names of its buffers
        self._turns: Tensors = {}  # of techniques that take turns, in this step
        self._found: Tensors = {}  # the buffers as the pass of this step found them
        self._passes_again = regularizer.uses("gradient") or regularizer.uses("penalty")
        # a module's "extra state" may be anything
        saved = {n: value for n, value in single.state_dict().items() if isinstance(value, Tensor)}
        self._state_names = [name for name in saved if saved[name].is_floating_point()]
        self._count_names = [name for name in saved if not saved[name].is_floating_point()]
        self._chain = chain(model)
        watched = regularizer.flag("uses_hidden")
        self._hidden = HiddenBlocks(model, single, dtype) if watched else None
        if watched or self._draws is not None:
            self._chain = [model]  # its containers are to be called
        with torch.no_grad():
            memory = regularizer.init(self.state(), self.kinds)
        # A technique need not know the device to start a count from zero.
        self.memory: Memory = pytree.tree_map_only(Tensor, lambda t: t.to(self.device), memory)

    @property
    def hidden(self) -> Tensors:
        """Outputs of the hidden blocks in the last pass, if a technique asks for them."""
        return self._hidden.outputs if self._hidden else {}

    def stop_watching(self) -> None:
        """Take the hooks of `hidden` out of the network: nothing reads it any more."""
        if self._hidden:
            self._hidden.remove()

    @property
    def draws_itself(self) -> bool:
        """Whether the network draws by torch's random functions."""
        return self._draws is not None

    # --- where the runs stand --------------------------------------------------------------

    @property
    @abstractmethod
    def learning_rate(self) -> float | Tensor:
        """Of the next step: a float, or [runs]."""

    @property
    @abstractmethod
    def ends_epoch(self) -> bool:
        """Whether the next step is the last of its epoch."""

    @abstractmethod
    def optimize(self) -> None:
        """One step of every run's optimizer, from the gradients of `parameters`."""

    @abstractmethod
    def evaluated(self) -> Tensors:
        """The state to evaluate and save: what the techniques make of the present one."""

    def step(self) -> Step:
        """Where the runs stand, with the streams of their next step."""
        rng = self.rng("step", self.step_index)
        return Step(
            rng,
            rng,  # each technique gets its own
            self.step_index,
            self.steps,
            self.epoch,
            self.ends_epoch,
            self.learning_rate,
            self.memory,
            self.kinds,
            self._layouts,
            self.split,
        )

    def rng(self, *path: str | int, runs: Sequence[int] | None = None) -> Rng:
        """The streams of all runs, or of those at the positions `runs`."""
        seeds = self._seeds if runs is None else [self._seeds[run] for run in runs]
        if self.lifted:
            return StackedRng(seeds, *path, device=self.device)
        return Rng(seeds[0], *path, device=self.device)

    def state(self) -> Tensors:
        """The floating parameters and buffers of the state dict, [runs, ...], not copied."""
        tensors = {**self.parameters, **self._buffers_now()}
        return {name: tensors[name].detach() for name in self._state_names if name in tensors}

    def counts(self) -> Tensors:
        """The integer buffers of the state dict, [runs, ...], not copied."""
        buffers = self._buffers_now()
        return {name: buffers[name] for name in self._count_names if name in buffers}

    def _buffers_now(self) -> Tensors:
        """The buffers by name; noise is a new tensor each step."""
        if not self._noise:
            return {name: held[last] for name, held, last in self._held}  # type: ignore[misc]
        # noise that a layer has in common for all its calls is one tensor under several names
        return dict(self.model.named_buffers(remove_duplicate=False))

    @torch.no_grad()
    def observe(
        self,
        state: Tensors,
        validation: dict[str, Tensor],
        train_loss: Tensor,
        seconds: Tensor,
        outputs: Tensor,
        targets: Tensor,
    ) -> Tensor:
        """Let the techniques know what an epoch ended with.

        Args:
            state: the parameters and buffers that were evaluated.
            validation: their metrics on the validation split, [runs] each.
            train_loss: [runs].
            seconds: of training so far, [runs].
            outputs: of the validation split, [runs, rows, outputs].
            targets: of the validation split, [runs, rows, ...].

        Returns:
            Whether they say that a run should end, [runs].
        """
        seen = validation | {"train_loss": train_loss, "seconds": seconds}
        self.memory = self.regularizer.observe(
            self.memory, Evaluation(seen, state, outputs, targets)
        )
        return self.regularizer.stop(self.memory)

    # --- the parts of a step ---------------------------------------------------------------

    def count(self, inputs: Tensor) -> int:
        """Rows of a batch of each run. `inputs`: [runs, rows, *features]."""
        return inputs.shape[int(self.lifted)]

    def soft(self, targets: Tensor) -> Tensor:
        """Targets as techniques see them: probabilities of classes or labels, or values."""
        if targets.is_floating_point():
            return targets
        # not one_hot, which looks at the targets to check them, so that no step could be recorded
        classes = torch.arange(self._classes, device=targets.device)
        return (targets.unsqueeze(-1) == classes).to(self.dtype)

    def draw_noise(self, step: Step, rows: int) -> None:
        """Fill the noise layers for a batch of `rows` rows, each run from its own stream."""
        self._stream = step.rng
        self._found = {}
        takes_turns = self.regularizer.takes_turns and bool(self._noise)
        self._turns = turns = self.regularizer.turns(step) if takes_turns else {}
        for name, layer in self._noise:
            for key, schedule in layer.schedules.items():
                setattr(layer, key, schedule.at(step))
            draw = partial(draw_noise, layer, rows=rows)
            for buffer, noise in layer.draw_calls(draw, layer.of(step.rng, name)).items():
                noise = in_turn(layer, turns.get(layer.stream), noise)
                # Module.__setattr__ takes a third of the draw's time
                layer._buffers[buffer] = noise

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [runs, rows, outputs] in training mode; running statistics move."""
        if self._passes_again:
            buffers = self._buffers_now().items()
            self._found = {n: b.clone() for n, b in buffers if not n.startswith(self._of_noise)}
        with self._autocast(), self._served(), self._noted(), self._differentiated():
            for module in self._chain:
                inputs = module(inputs)
        return inputs.to(self.dtype)

    def forward_at(self, parameters: Tensors, inputs: Tensor) -> Tensor:
        """Outputs at other parameters with the same noise and buffers; running statistics stay."""
        buffers, draws = self._buffers_found(), (self._draws, self._stream)
        with self._noted():
            return Network(self.model, parameters, buffers, {}, self.autocast, *draws)(inputs)

    def _buffers_found(self) -> Tensors:
        """The buffers as the pass of this step found them: some, as a spectral norm's vectors, are
        read in training and have moved since."""
        return self._buffers_now() | self._found

    def _noted(self) -> AbstractContextManager[Any]:
        """A pass whose hidden blocks techniques may ask for."""
        return self._hidden.noted() if self._hidden else nullcontext()

    def network(self, parameters: Tensors) -> Network:
        """The network for penalties that call it, at `parameters` unless they give others."""
        buffers, draws = self._buffers_found(), (self._draws, self._stream)
        numbers = self._numbers()
        return Network(
            self.single, parameters, buffers, numbers, self.autocast, *draws, turns=self._turns
        )

    def _numbers(self) -> dict[str, Tensors]:
        """The numbers of noise layers that differ from run to run, [runs] each."""
        if not self.lifted:
            return {}
        return {name: numbers for name, layer in self._noise if (numbers := varying(layer))}

    def backward(self, objectives: Tensor) -> None:
        """Set the gradients of every run's own objective. `objectives`: [runs]."""
        for parameter in self.parameters.values():
            parameter.grad = None
        draws = self._draws if self.step_index == 0 else None
        with nullcontext() if draws is None else draws.refused():
            # The runs are independent: the gradient of the sum is that of each. Torch imports sympy
            # to compare shapes where it is given gradients instead of a sum.
            objectives.sum().backward()

    def gradients(self) -> Tensors:
        """The gradients of the last backward pass, by parameter."""
        return {n: p.grad.contiguous() for n, p in self.parameters.items() if p.grad is not None}

    def set_gradients(self, gradients: Tensors) -> None:
        for name, gradient in gradients.items():
            parameter = self.parameters[name]
            # what has no dimension takes the type of a technique's number that is a tensor
            gradient = gradient.to(parameter.dtype)
            if gradient.stride() != parameter.stride():
                # torch's fused optimizers take memory as it lies, and a parameter may be transposed
                gradient = torch.empty_like(parameter).copy_(gradient)
            parameter.grad = gradient

    def copy_parameters(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    @torch.no_grad()
    def set_parameters(self, parameters: Tensors) -> None:
        for name, value in parameters.items():
            parameter = self.parameters[name]
            if value is not parameter and parameter.requires_grad:  # frozen ones stay as they are
                parameter.copy_(value)

    def _served(self) -> AbstractContextManager[Any]:
        if self._draws is None:
            return nullcontext()
        assert self._stream is not None, "draw the noise of the step before its passes"
        return self._draws.served(self._stream)

    def _differentiated(self) -> AbstractContextManager[Any]:
        return differentiated_once() if self.differentiates_once else nullcontext()

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.autocast else nullcontext()
