"""A stack: K runs of one structure, trained together as one tensor program.

With one run there is no axis: the network is the user's own module and the arithmetic is that of a
loop written by hand. With more, every tensor has a leading axis [K, ...], and the loop does not
notice. In the comments, [runs, ...] means either.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.metrics.ensemble import mean_prediction
from regexp.model.draws import probe
from regexp.model.functional import call_with
from regexp.model.kinds import kinds_of
from regexp.model.modes import modes_kept
from regexp.model.noise import copy_shapes
from regexp.random import Rng
from regexp.regularizer.base import PredictionView, Tensors, TrainingSplit
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.lift import check_lifted, lift
from regexp.stack.lifted_cocktail import LiftedCocktail
from regexp.stack.member import PARAMETER_TYPES, Member, lengths
from regexp.stack.network import Network
from regexp.stack.optimizers import Optimizers
from regexp.stack.rows import NumberedRows, StackedRows
from regexp.stack.running_statistics import with_own_statistics
from regexp.stack.streams import Remembered
from regexp.stack.trainable import Trainable
from regexp.stack.vmapped import attributes, varying

DRAWS_BYTES = 64 * 2**20
"""Of the draws of predictions that are averaged which a stack keeps for the next evaluation."""


class Stack(Trainable):
    """K runs in training.

    Args:
        members: the runs, equal in structure. Neighbours with equal optimizers may share one.
        batch_size: rows a step, for each run.
        precision: a key of `member.PARAMETER_TYPES`.

    Attributes:
        runs: which of `members` are still in the stack, in order.
        bars: of each of `members`.
        rows: their datasets.
        plan: rows a batch and batches of every epoch.
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
        device, dtype = torch.device(device), PARAMETER_TYPES[precision]
        single, lifted = members[0].model, len(members) > 1
        self.runs = list(range(len(members)))
        self.bars = [member.bars for member in members]
        objective = members[0].objective
        numbered = members[0].regularizer.flag("uses_rows")
        self.rows = StackedRows(
            [m.data for m in members], lifted, device, dtype, objective.weights, numbered
        )
        self.plan = lengths(members[0].regularizer, self.rows.count["train"], batch_size, epochs)
        self._ends = list(itertools.accumulate(steps for _, steps in self.plan))
        self.steps = self._ends[-1] if epochs else 0
        for member in members:
            member.model.to(device, dtype).train()
        example = members[0].data.train.inputs[:2].to(device, dtype)
        drawing = probe(single, example, Rng(members[0].seed, "probe", device=device))
        for member in members[1:]:
            copy_shapes(single, member.model)
        model = single
        regularizer: Cocktail | LiftedCocktail = members[0].regularizer
        if lifted:
            models = [member.model for member in members]
            model = lift(models).to(device)  # what their own train() keeps in evaluation too
            check_lifted(model, models, next(self.rows.chunks("train", size=2))[0])
            regularizer = LiftedCocktail([m.regularizer for m in members], device, bool(drawing))
        super().__init__(
            model,
            single,
            regularizer,
            [member.seed for member in members],
            members[0].data.task,
            self.rows.classes,
            dtype,
            autocast=precision == "bfloat16",
            drawing=drawing,
            own_loss=objective.loss and objective.loss.to(device, dtype),
        )
        self.device = device
        self.optimizers = Optimizers(
            [m.stepper for m in members],
            list(self.parameters.values()),
            kinds_of(self.parameters, self.kinds),
            lifted,
        )
        if numbered:
            self.split = TrainingSplit(self.rows.count["train"], self.rows.class_counts())
        self._learning_rate: float | Tensor | None = None  # computed once a change
        self._remembered = Remembered(DRAWS_BYTES)

    # --- training --------------------------------------------------------------------------

    def batches(self, runs: Sequence[int] | None = None) -> Iterator[NumberedRows]:
        """This epoch's batches: inputs [runs, rows, *features], targets [runs, rows, ...], how much
        rows count, [runs, rows] or None, and their numbers, [runs, rows] or None.

        Args:
            runs: positions in the stack, if not all.

        Each run has its own permutation of its rows. What is left over after the full batches
        makes a last, smaller one, unless it is a single row, which batch normalization could
        not use.
        """
        return self._batches("order", self.epoch, runs=runs)

    def _batches(
        self, *purpose: str | int, runs: Sequence[int] | None = None
    ) -> Iterator[NumberedRows]:
        """Batches of this epoch's size, in the order that each run's stream has for `purpose`."""
        rows = self.rows.count["train"]
        # Drawn on the CPU, so that the order does not depend on the device.
        seeds = self._seeds if runs is None else [self._seeds[run] for run in runs]
        orders = [Rng(seed, *purpose).permutation(rows) for seed in seeds]
        order = torch.stack(orders) if self.lifted else orders[0]
        return self.rows.batches(order, *self.plan[min(self.epoch, len(self.plan) - 1)], runs)

    @property
    def ends_epoch(self) -> bool:
        return self.step_index + 1 == self._ends[self.epoch]

    @property
    def learning_rate(self) -> float | Tensor:
        if self._learning_rate is None:
            rates = self.optimizers.learning_rates()
            self._learning_rate = self.per_run(rates) if self.lifted else rates[0]
        return self._learning_rate

    def optimize(self) -> None:
        """One step of every run's optimizer, and of its schedule if that counts steps."""
        self.optimizers.step()
        self.count_step()

    def count_step(self) -> None:
        """Note that a step was made, by `optimize` or by who made it in another way."""
        self.optimizers.count_step()
        if self.optimizers.counts_steps:
            self._learning_rate = None
        self.step_index += 1

    def end_epoch(self, validation_loss: Tensor) -> None:
        """Step the schedules that count epochs. `validation_loss`: [runs]."""
        self.optimizers.step_epoch(validation_loss.reshape(-1).tolist())
        self._learning_rate = None
        self.epoch += 1

    def enter(self, epoch: int, step: int) -> None:
        """Stand after so many epochs and steps; the streams go on from there."""
        self.epoch, self.step_index = epoch, step
        self._learning_rate = None

    # --- evaluation ------------------------------------------------------------------------

    @torch.no_grad()
    def evaluated(self) -> Tensors:
        state = self.state()
        if not self.regularizer.uses("weights"):
            return state
        averaged = self.regularizer.weights(self.memory, state)
        if not self.regularizer.flag("averages"):
            return averaged
        # in an order of its own, the same each time, so that curves do not jump
        taken = self.regularizer.taken
        batches = lambda: (taken(inputs) for inputs, *_ in self._batches("statistics"))
        with self._autocast():
            return with_own_statistics(self.model, averaged, state, batches, self.lifted)

    @torch.no_grad()
    def predict(
        self,
        split: str,
        state: Tensors,
        runs: Sequence[int] | None = None,
        rows: StackedRows | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs on a split in evaluation mode, and its targets.

        Args:
            split: `train`, `validation` or `test`.
            state: of all runs of the stack.
            runs: positions in the stack, if not all.
            rows: of all runs of the stack, if not those that it was made with.

        Returns:
            [runs, rows, outputs] and [runs, rows, ...].
        """
        runs = runs if self.lifted else None
        tensors = {**self._buffers_now(), **state}
        if self.lifted:  # noise that was never drawn has no run axis
            tensors = {name: value for name, value in tensors.items() if value.ndim}
        numbers = {}  # of layers, if not those of all runs
        if runs is not None:
            tensors, numbers = take((tensors, self._numbers()), runs)
        if self.regularizer.uses("predict"):
            call = self._averaging(tensors, runs)
        else:
            call = lambda inputs: call_with(self.model, tensors, inputs)
        modes = modes_kept(self.model, self.single)
        with modes, self._autocast(), attributes(self.model, numbers):
            self.model.eval()
            self.single.eval()
            return (rows or self.rows).outputs(call, split, runs)

    def _averaging(
        self, tensors: Tensors, runs: Sequence[int] | None
    ) -> Callable[[Tensor], Tensor]:
        """`call(inputs)` gives the mean of the predictions that a technique averages.

        Args:
            tensors: parameters and buffers of the runs that predict.
            runs: positions in the stack, if not all.
        """
        regularizer, memory, numbers = self.regularizer, self.memory, self._numbers()
        if runs is not None and isinstance(regularizer, LiftedCocktail):
            regularizer = regularizer.take(runs)
            memory, numbers = take((memory, numbers), runs)
        state = {name: tensors[name] for name in self._state_names if name in tensors}
        others = {name: value for name, value in tensors.items() if name not in state}
        network = Network(self.single, state, others, numbers, self.autocast, self._draws)

        def call(inputs: Tensor) -> Tensor:
            # the same for every chunk of rows and after every epoch: the same members
            rng = self.rng("predict", runs=runs)
            rng.watch = self._remembered
            view = PredictionView(state, network, inputs, rng)
            return mean_prediction(regularizer.predict(memory, view), self.task)

        return call

    # --- single runs -----------------------------------------------------------------------

    def each(self, values: Tensor) -> list[float]:
        """[runs] -> one number a run (of one run without an axis: a list of one)."""
        return values.reshape(-1).tolist()

    def per_run(self, values: Sequence[float]) -> Tensor:
        """The inverse of `each`: float64."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        return tensor if self.lifted else tensor[0]

    def of_run(self, values: Any, run: int) -> Any:
        """One run's part of nested dicts of [runs, ...] tensors, copied."""
        return pytree.tree_map(
            lambda value: (value[run] if self.lifted else value).detach().clone(), values
        )

    def weights(self, state: Tensors, run: int) -> Tensors:
        """One run's part of a state as a whole state dict, with counts and all names, copied."""
        single: Tensors = self.of_run({**state, **self.counts()}, run)
        held = self.single.state_dict(keep_vars=True)
        names = {id(held[name]): name for name in single}
        # what stands in several places has a name for each
        again = {n: names[id(v)] for n, v in held.items() if n not in single and id(v) in names}
        return single | {name: single[first] for name, first in again.items()}

    @torch.no_grad()
    def keep(self, runs: Sequence[int]) -> None:
        """Let the other runs leave the stack.

        Args:
            runs: positions in the stack of those that go on, in order; not empty.
        """
        assert runs, "a stack has at least one run"
        assert isinstance(self.regularizer, LiftedCocktail)
        self.optimizers.take(runs)
        for buffer in self.model.buffers():
            if buffer.ndim:  # noise that was never drawn has no axes
                buffer.data = buffer.data[list(runs)]
        for _, layer in self._noise:
            for key, value in varying(layer).items():
                setattr(layer, key, value[list(runs)])
            layer.schedules = take(layer.schedules, runs)
        self.runs = [self.runs[run] for run in runs]
        self._seeds = [self._seeds[run] for run in runs]
        self.rows.take(runs)
        self.regularizer = self.regularizer.take(runs)
        self.memory = take(self.memory, runs)
        self.split = take(self.split, runs)
        self._learning_rate = None
        self._remembered = Remembered(DRAWS_BYTES)


def take(values: Any, runs: Sequence[int]) -> Any:
    """Some runs' part of nested dicts of [runs, ...] tensors, copied; all else as it is."""
    return pytree.tree_map_only(Tensor, lambda value: value[list(runs)], values)
