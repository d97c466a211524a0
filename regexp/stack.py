"""A stack: K runs of one structure, trained together as one tensor program.

All that knows the run axis is here and in the modules this one imports (`lift`,
`lift_regularizer`, `rows`, `stepping`). With one run there is no axis: the network is the user's
own module and the arithmetic is that of a loop written by hand. With more, every tensor has a
leading axis [K, ...], and the loop in `train.py` does not notice. In the comments, [runs, ...]
means either.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from regexp.layers import Noise, blocks, note_shapes
from regexp.lift import chain, check_lifted, lift
from regexp.lift_regularizer import LiftedCocktail, Network, StackedRng, draw_noise
from regexp.loss import LOSSES
from regexp.member import Member, steps_per_epoch
from regexp.random import Rng
from regexp.regularizer.base import Memory, Step, Tensors
from regexp.regularizer.cocktail import Cocktail
from regexp.rows import Rows
from regexp.running_statistics import reestimate
from regexp.stepping import Optimizers
from regexp.vmapped import Vmapped, varying

PRECISIONS = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.float32,  # of the parameters; the network computes under autocast
}


class Stack:
    """K runs in training.

    Args:
        members: the runs, equal in structure. Neighbours with equal optimizers may share one.
        epochs: of the whole run.
        batch_size: rows a step, for each run.
        device: where to train.
        precision: a key of `PRECISIONS`.

    Attributes:
        runs: which of `members` are still in the stack, in order.
        memory: of the techniques, [runs, ...].

    Raises:
        ValueError: if the network cannot be lifted over the run axis.
    """

    def __init__(
        self,
        members: Sequence[Member],
        epochs: int,
        batch_size: int,
        device: torch.device | str = "cpu",
        precision: str = "float32",
    ) -> None:
        self.device = torch.device(device)
        self.dtype = PRECISIONS[precision]
        self._half = precision == "bfloat16"
        self.lifted = len(members) > 1
        self.runs = list(range(len(members)))
        self.task = members[0].data.task
        self.loss = LOSSES[self.task]
        self._seeds = [member.seed for member in members]
        self._batch_size = batch_size
        self._rows = Rows([m.data for m in members], self.lifted, self.device, self.dtype)
        self._steps_per_epoch = steps_per_epoch(self._rows.count["train"], batch_size)
        self.steps = epochs * self._steps_per_epoch
        self.step_index = 0
        self.epoch = 0
        for member in members:
            member.model.to(self.device, self.dtype).train()
            example = member.data.train.inputs[:1].to(self.device, self.dtype)
            note_shapes(member.model, example)
        self._single = members[0].model
        self.model = self._single
        self.regularizer: Cocktail | LiftedCocktail = members[0].regularizer
        if self.lifted:
            models = [member.model for member in members]
            self.model = lift(models).to(self.device).train()
            check_lifted(self.model, models, next(self._rows.chunks("train", size=2))[0])
            self.regularizer = LiftedCocktail(
                [m.regularizer for m in members], self._single, self.device
            )
        self.parameters: dict[str, nn.Parameter] = dict(self.model.named_parameters())
        self._buffers = dict(self.model.named_buffers())
        self._noise = [(n, m) for n, m in self.model.named_modules() if isinstance(m, Noise)]
        self._state_names = [
            name for name, value in self._single.state_dict().items() if value.is_floating_point()
        ]
        self._optimizers = Optimizers(
            [m.stepper for m in members], list(self.parameters.values()), self.lifted
        )
        self._learning_rate: float | Tensor | None = None
        self._chain = chain(self.model)
        self.hidden: Tensors = {}
        if self.regularizer.flag("uses_hidden"):
            self._watch_hidden()
            self._chain = [self.model]  # the hooks are on its containers
        with torch.no_grad():
            self.memory: Memory = self.regularizer.init(self.state())

    def _watch_hidden(self) -> None:
        within = [n for n, m in self.model.named_modules() if isinstance(m, Vmapped)]
        for name in blocks(self._single):
            if any(name == path or name.startswith(f"{path}.") or not path for path in within):
                raise ValueError(
                    f"regularizer: a technique reads the hidden block {name} of "
                    f"{type(self._single).__name__}, which a stack of runs cannot show; train the "
                    "runs one after another with stack=false"
                )

            def note(module: nn.Module, inputs: Any, output: Tensor, name: str = name) -> None:
                self.hidden[name] = output

            self.model.get_submodule(name).register_forward_hook(note)

    # --- data and randomness ---------------------------------------------------------------

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """This epoch's batches: inputs [runs, rows, *features] and targets [runs, rows, ...].

        Each run has its own permutation of its rows. What is left over after the full batches
        makes a last, smaller one, unless it is a single row, which batch normalization could
        not use.
        """
        rows = self._rows.count["train"]
        # Drawn on the CPU, so that the order does not depend on the device.
        orders = [Rng(seed, "order", self.epoch).permutation(rows) for seed in self._seeds]
        order = torch.stack(orders) if self.lifted else orders[0]
        return self._rows.batches(order, self._batch_size, self._steps_per_epoch)

    def count(self, inputs: Tensor) -> int:
        """Rows of a batch of each run. `inputs`: [runs, rows, *features]."""
        return inputs.shape[int(self.lifted)]

    def soft(self, targets: Tensor) -> Tensor:
        """Targets as techniques see them: class probabilities, or values in regression."""
        if self.task == "regression":
            return targets
        return nn.functional.one_hot(targets, self._rows.classes).to(self.dtype)

    def step(self) -> Step:
        """Where the runs stand, with the streams of their next step."""
        return Step(
            self._rng("step", self.step_index),
            self.step_index,
            self.steps,
            self.epoch,
            self.learning_rate,
            self.memory,
        )

    def _rng(self, *path: str | int) -> Rng:
        if self.lifted:
            return StackedRng(self._seeds, *path, device=self.device)
        return Rng(self._seeds[0], *path, device=self.device)

    def draw_noise(self, step: Step, rows: int) -> None:
        """Fill the noise layers for a batch of `rows` rows, each run from its own stream."""
        for name, layer in self._noise:
            noise = draw_noise(layer, step.rng.fold(layer.stream, layer.key or name), rows)
            layer._buffers["noise"] = noise  # Module.__setattr__ takes a third of the draw's time

    # --- one step --------------------------------------------------------------------------

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs [runs, rows, outputs] in training mode; running statistics move."""
        with self._autocast():
            for module in self._chain:
                inputs = module(inputs)
        return inputs.to(self.dtype)

    def forward_at(self, parameters: Tensors, inputs: Tensor) -> Tensor:
        """Outputs at other parameters with the same noise; running statistics stay."""
        with self._autocast():
            return Network(self.model, parameters, self._buffers_now())(inputs).to(self.dtype)

    def network(self, parameters: Tensors) -> Network:
        """The network for penalties that call it, at `parameters` unless they give others."""
        return Network(self._single, parameters, self._buffers_now())

    def gradients(self) -> Tensors:
        """The gradients of the last backward pass, by parameter."""
        return {n: p.grad.contiguous() for n, p in self.parameters.items() if p.grad is not None}

    def set_gradients(self, gradients: Tensors) -> None:
        for name, gradient in gradients.items():
            # torch's fused optimizers take memory as it lies: strides must be the parameter's
            self.parameters[name].grad = gradient.contiguous()

    def backward(self, objectives: Tensor) -> None:
        """Set the gradients of every run's own objective. `objectives`: [runs]."""
        for parameter in self.parameters.values():
            parameter.grad = None
        # The runs are independent: the gradient of the sum is that of each.
        objectives.backward(torch.ones_like(objectives))

    def optimize(self) -> None:
        """One step of every run's optimizer, and of its schedule if that counts steps."""
        self._optimizers.step()
        if self._optimizers.counts_steps:
            self._learning_rate = None
        self.step_index += 1

    def copy_parameters(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    @torch.no_grad()
    def set_parameters(self, parameters: Tensors) -> None:
        for name, value in parameters.items():
            own = self.parameters[name]
            if value is not own and own.requires_grad:  # frozen layers stay as they are
                own.copy_(value)

    @property
    def learning_rate(self) -> float | Tensor:
        """Of the next step: a float, or [runs]."""
        if self._learning_rate is None:
            rates = self._optimizers.learning_rates()
            self._learning_rate = (
                torch.tensor(rates, dtype=torch.float64, device=self.device)
                if self.lifted
                else rates[0]
            )
        return self._learning_rate

    def end_epoch(self, validation_loss: Tensor) -> None:
        """Step the schedules that count epochs. `validation_loss`: [runs]."""
        self._optimizers.step_epoch(validation_loss.reshape(-1).tolist())
        self._learning_rate = None
        self.epoch += 1

    # --- evaluation ------------------------------------------------------------------------

    def state(self) -> Tensors:
        """The floating parameters and buffers of the state dict, [runs, ...], not copied."""
        tensors = {**self.parameters, **self._buffers_now()}
        return {name: tensors[name].detach() for name in self._state_names if name in tensors}

    @torch.no_grad()
    def evaluated(self) -> Tensors:
        """The state to evaluate and save: what the techniques make of the present one."""
        state = self.state()
        if not self.regularizer.uses("weights"):
            return state
        chosen = self.regularizer.weights(self.memory, state)
        if not self.regularizer.flag("averages"):
            return chosen
        changed = torch.stack([self._differs(chosen[name], state[name]) for name in state]).any(0)
        return self.where(changed, self._reestimated(chosen), chosen) if changed.any() else chosen

    def _reestimated(self, state: Tensors) -> Tensors:
        chunks = itertools.islice(
            self._rows.chunks("train", size=self._batch_size), self._steps_per_epoch
        )
        with self._autocast():
            return reestimate(self.model, state, (inputs for inputs, _ in chunks))

    def _differs(self, values: Tensor, others: Tensor) -> Tensor:
        """Whether any element differs, [runs]."""
        differs = values != others
        return differs.flatten(1).any(1) if self.lifted else differs.any()

    @torch.no_grad()
    def predict(
        self,
        split: str,
        state: Tensors,
        runs: Sequence[int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs on a split in evaluation mode, and its targets.

        Args:
            split: `train`, `validation` or `test`.
            state: of all runs of the stack.
            runs: positions in the stack, if not all.

        Returns:
            [runs, rows, outputs] and [runs, rows, ...].
        """
        if runs is not None and self.lifted:
            # all that carries a run axis: buffers that are not saved have one too
            state = {n: v for n, v in {**self._buffers_now(), **state}.items() if v.ndim}
            state = take(state, runs)
        self.model.eval()
        outputs: Tensor | None = None
        targets = []
        axis, first, total = int(self.lifted), 0, self._rows.count[split]
        with self._autocast():
            for inputs, target in self._rows.chunks(split, runs):
                part = torch.func.functional_call(self.model, state, (inputs,))
                if outputs is None:  # once: parts kept between chunks would fragment the heap
                    shape = [*part.shape]
                    shape[axis] = total
                    outputs = part.new_empty(shape, dtype=self.dtype)
                outputs.narrow(axis, first, part.shape[axis]).copy_(part)
                first += part.shape[axis]
                targets.append(target)
        self.model.train()
        assert outputs is not None, "a split has at least one row"
        return outputs, torch.cat(targets, axis)

    # --- single runs -----------------------------------------------------------------------

    def each(self, values: Tensor) -> list[float]:
        """[runs] -> one number a run (of one run without an axis: a list of one)."""
        return values.reshape(-1).tolist()

    def one(self, values: Any, run: int) -> Any:
        """One run's part of nested dicts of [runs, ...] tensors, copied."""
        return pytree.tree_map(
            lambda value: (value[run] if self.lifted else value).detach().clone(), values
        )

    def where(self, chosen: Tensor, values: Tensors, others: Tensors) -> Tensors:
        """`values` for the chosen runs and `others` for the rest, copied. `chosen`: [runs]."""
        return {
            name: torch.where(chosen.view(chosen.shape + (1,) * (value.ndim - chosen.ndim)),
                              value, others[name])
            for name, value in values.items()
        }  # fmt: skip

    def optimizer_state(self, run: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The state dicts of one run's optimizer and scheduler, as if it had been alone."""
        return self._optimizers.state(run)

    @torch.no_grad()
    def keep(self, runs: Sequence[int]) -> None:
        """Let the other runs leave the stack.

        Args:
            runs: positions in the stack of those that go on, in order; not empty.
        """
        assert runs, "a stack has at least one run"
        assert isinstance(self.regularizer, LiftedCocktail)

        def cut() -> None:
            for tensor in [*self.parameters.values(), *self.model.buffers()]:
                tensor.grad = None
                if tensor.ndim:  # noise that was never drawn has no axes
                    tensor.data = tensor.data[list(runs)]

        self._optimizers.take(runs, cut)
        for _, layer in self._noise:
            for key, value in varying(layer).items():
                setattr(layer, key, value[list(runs)])
        self.runs = [self.runs[run] for run in runs]
        self._seeds = [self._seeds[run] for run in runs]
        self._rows.take(runs)
        self.regularizer = self.regularizer.take(runs)
        self.memory = take(self.memory, runs)
        self._learning_rate = None

    def _buffers_now(self) -> Tensors:
        """The buffers by name; noise is a new tensor each step."""
        return dict(self.model.named_buffers()) if self._noise else self._buffers

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self._half else nullcontext()


def take(values: Any, runs: Sequence[int]) -> Any:
    """Some runs' part of nested dicts of [runs, ...] tensors, copied."""
    return pytree.tree_map(lambda value: value[list(runs)], values)
