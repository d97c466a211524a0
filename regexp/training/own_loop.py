"""Techniques in a training loop of your own, without Hydra and MLflow."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from regexp.metrics.ensemble import mean_prediction
from regexp.metrics.evaluate import metrics
from regexp.metrics.loss import Loss
from regexp.model.draws import probe
from regexp.model.guards import check_width, checked_outputs
from regexp.model.kinds import kinds_of
from regexp.model.modes import modes_kept, training_mode
from regexp.model.positions import note_positions
from regexp.random import EVERYBODYS, Rng
from regexp.regularizer.base import (
    Course,
    PredictionView,
    Regularizer,
    Tensors,
    TrainingSplit,
)
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import check_data
from regexp.scheduler import learning_rate_of
from regexp.stack.loss_trial import check_hard, tried
from regexp.stack.member import add_layers
from regexp.stack.network import Network
from regexp.stack.objective import OwnLoss
from regexp.stack.optimizers import load_state
from regexp.stack.running_statistics import with_own_statistics
from regexp.stack.trainable import Trainable
from regexp.training.checkpoint import moved
from regexp.training.loop import mean_loss, no_draws_in_training
from regexp.training.own_checks import (
    check_classes,
    check_cocktail,
    check_makers,
    check_model,
    check_new,
    check_rows,
    check_tensors,
    check_values,
    note_layers,
    with_counts,
)
from regexp.training.own_optimizer import held, own_optimizer
from regexp.training.train_step import train_step


class Regularized(Trainable):
    """A model that trains with techniques, one batch after another, as in `regexp` itself.

    With the same seed, batches and optimizer it makes the same weights, to the bit, as a run of
    the command line with `trainer.step=general`.

        run = Regularized(
            model,
            {"l1": L1(strength=1e-4, include="weights"), "mixup": Mixup(alpha=0.2)},
            lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
            example=x_train[:1], classes=10, epochs=20, steps_per_epoch=len(loader),
        )
        for epoch in range(20):
            for inputs, targets in loader:
                run.train_batch(inputs, targets)
            print(run.end_epoch(x_validation, y_validation))
            if run.stopped:
                break
        run.finish()  # `run.model` has the weights to use

    Args:
        model: yours. Techniques that add layers look for `regexp.model.layers.Block` and `Inputs`
            in it and say what they miss. It is changed in place, and is `run.model` afterwards.
            Parameters that the optimizer does not hold stay as they are, as frozen ones do.
        techniques: by name, in the order in which they act; the names key their random streams.
        optimizer: makes an optimizer of the parameters; it is `run.optimizer` afterwards, for a
            scheduler of torch's.
        example: inputs [rows, *features], one row is enough.
        classes: how many there are, for targets int64 [rows]; 0 for regression, with targets
            [rows, outputs].
        epochs: that the run has at most.
        steps_per_epoch: batches in each of them.
        seed: keys every random draw of the techniques.
        loss: `loss(outputs, targets)`, the loss of each row, [rows], in the place of cross-entropy
            or squared error; see `regexp.stack.objective.OwnLoss`.
        split: of your training rows, for techniques that say `uses_rows`; give `train_batch` the
            numbers of the rows then.

    Attributes:
        advice: what techniques tell of numbers that do not suit the run, such as an average that is
            longer than it.
        stopped: whether a technique says, after an epoch, that the run should end.

    Raises:
        NotApplicable: if a technique has nothing to work on in the model or the data.
        ValueError: if techniques are no dict, or `optimizer` is one already; if two techniques do
            not go together, or if one changes the size of batches or the initial weights, which are
            yours here; if the model has no parameters, has a part in evaluation mode, gives other
            than [rows, outputs], or draws what could not be drawn again: in evaluation mode, or
            from Python's or NumPy's global random state; if it has layers of one of the techniques
            already; if the optimizer's step needs a closure, or it was made of other parameters
            than it is given.
    """

    def __init__(
        self,
        model: nn.Module,
        techniques: Mapping[str, Regularizer],
        optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer],
        *,
        example: Tensor,
        classes: int,
        epochs: int,
        steps_per_epoch: int,
        seed: int = 0,
        loss: Loss | None = None,
        split: TrainingSplit | None = None,
    ) -> None:
        check_tensors(example=example)
        check_makers(techniques, optimizer)
        cocktail = Cocktail(techniques)
        task = "classification" if classes else "regression"
        check_data(techniques, "the data", task, example.shape[1:], own_loss=loss is not None)
        check_cocktail(cocktail, split)
        first = check_model(model)
        split = with_counts(split, first.device)
        check_new(model, cocktail)
        given, before = model, list(model.parameters())
        floating = example.is_floating_point()
        rows = example.to(first.device, first.dtype if floating else example.dtype)
        note_positions(model, rows)
        model = add_layers(training_mode(model), cocktail, seed).to(first.device, first.dtype)
        note_layers([given, model], cocktail)
        outputs = checked_outputs(model, rows)
        check_width(model, outputs, len(rows), classes)
        self._outputs = outputs.shape[1]
        own_loss = loss and OwnLoss(loss).to(first.device, first.dtype)
        if own_loss and classes:
            every = torch.arange(classes, device=first.device)
            own_loss = tried(own_loss.function, every, classes, task, "loss", first.dtype)
            if not own_loss.soft:
                check_hard("loss", cocktail)
        # how many targets a row has is told by the first batch
        self._untried = own_loss.function if own_loss and not classes else None
        drawing = probe(model, rows, Rng(seed, "probe", device=first.device))
        super().__init__(
            model, model, cocktail, [seed], task, classes, first.dtype, drawing=drawing,
            own_loss=own_loss,
        )  # fmt: skip
        self.split = split
        self.steps = epochs * steps_per_epoch
        ends = [steps_per_epoch * epoch for epoch in range(1, epochs + 1)]
        self.stopped = False
        kinds = kinds_of(self.parameters, self.kinds)
        self.optimizer = own_optimizer(optimizer, model, kinds, before)
        self.advice = cocktail.advise(Course(ends, lambda: ()))  # the schedule is the user's
        if techniques and len({group["lr"] for group in self.optimizer.param_groups}) > 1:
            self.advice.append(
                "optimizer: its groups of parameters have several learning rates; techniques that "
                "go by the rate, such as weight_decay, take the first group's for all"
            )
        self._seed, self._steps_per_epoch = seed, steps_per_epoch
        self._batches: list[Tensor] = []
        self._final: Tensors | None = None
        self._losses: list[Tensor] = []
        self._rows: list[int] = []
        self._began = time.monotonic()

    @property
    def learning_rate(self) -> float:
        """Of the optimizer's first parameter group, which techniques are told of."""
        return learning_rate_of(self.optimizer)

    @property
    def ends_epoch(self) -> bool:
        return (self.step_index + 1) % self._steps_per_epoch == 0

    def optimize(self) -> None:
        """One step of the optimizer."""
        self.optimizer.step()
        self.step_index += 1

    def gradients(self) -> Tensors:
        return self._of_optimizer(super().gradients())

    def set_parameters(self, parameters: Tensors) -> None:
        super().set_parameters(self._of_optimizer(parameters))

    def _of_optimizer(self, tensors: Tensors) -> Tensors:
        """Those of the parameters that the optimizer holds, which may be given more."""
        there = held(self.optimizer)
        return {
            name: value for name, value in tensors.items() if id(self.parameters[name]) in there
        }

    def train_batch(
        self,
        inputs: Tensor,
        targets: Tensor,
        weights: Tensor | None = None,
        rows: Tensor | None = None,
    ) -> Tensor:
        """One step on one batch.

        Args:
            inputs: [rows, *features].
            targets: classes, int64 [rows], or probabilities of them [rows, classes]; or values
                [rows, outputs].
            weights: how much rows count, [rows], about 1 on average; None if all alike.
            rows: the number of each in the training split, int64 [rows], for techniques that say
                `uses_rows`.

        Returns:
            The mean loss of the batch as it was trained on, without penalties; detached.

        Raises:
            ValueError: for targets, weights or rows of another shape or type, such as values
                [rows], which would be taken for [rows, rows]; if `loss` gives other than a value a
                row, or one that hangs on other rows; if somebody put a part of the model into
                evaluation mode; if a technique draws from a global random state in the first step;
                or after `finish`.
        """
        self._check_unfinished("train_batch")
        self._check(inputs, targets, soft=True)
        check_rows(weights, rows, len(inputs))
        training_mode(self.model)
        if self._untried is not None:
            tried(self._untried, targets, self._outputs, self.task, "loss", self.dtype)
            self._untried = None
        # later steps are not looked at: threads that load rows may draw as they like
        whose = () if self.step_index else EVERYBODYS
        with no_draws_in_training(*whose):
            loss = train_step(self, inputs, targets, weights, rows)
        self._losses.append(loss)
        self._rows.append(len(inputs))
        return loss

    def end_epoch(
        self, inputs: Tensor, targets: Tensor, batches: Iterable[Tensor] = ()
    ) -> dict[str, float]:
        """Evaluate on validation rows, and let the techniques know (early stopping, say).

        Args:
            inputs: [rows, *features] of the validation split.
            targets: its targets.
            batches: inputs of the training split, in a shuffled order (see `reestimate`), from
                which the running statistics of averaged weights are estimated anew.

        Returns:
            `loss`, `accuracy` and so on, see `regexp.metrics.evaluate.metrics`.

        Raises:
            ValueError: for targets of another shape or type; if the epoch had other than
                `steps_per_epoch` batches; or after `finish`.
        """
        self._check_unfinished("end_epoch")
        self._check(inputs, targets)
        if len(self._losses) != self._steps_per_epoch:
            raise ValueError(
                f"steps_per_epoch={self._steps_per_epoch}: this epoch had {len(self._losses)} "
                "batches; techniques with a schedule count on it"
            )
        state = self.evaluated(batches)
        outputs = self.predict(inputs, state)
        scores = metrics(outputs, targets, self.task, self.own_loss)
        seconds = torch.tensor(time.monotonic() - self._began, dtype=torch.float64)
        train_loss = mean_loss(self._losses, self._rows)
        self.stopped = bool(self.observe(state, scores, train_loss, seconds, outputs, targets))
        self.epoch += 1
        self._losses, self._rows = [], []
        return {name: float(value) for name, value in scores.items()}

    @torch.no_grad()
    def evaluated(self, batches: Iterable[Tensor] = ()) -> Tensors:
        """The parameters and buffers that the techniques want evaluated.

        Args:
            batches: as of `end_epoch`; if none are given, those that were given last.
        """
        self._batches = list(batches) or self._batches
        state = self.state()
        averaged = self.regularizer.weights(self.memory, state)
        if not self.regularizer.flag("averages"):
            return averaged
        taken = lambda: map(self.regularizer.taken, self._batches)
        return with_own_statistics(self.model, averaged, state, taken, False)

    @torch.no_grad()
    def predict(self, inputs: Tensor, state: Tensors | None = None) -> Tensor:
        """Outputs [rows, outputs] in evaluation, as the techniques have it.

        Args:
            inputs: [rows, *features].
            state: parameters and buffers; if none are given those of `evaluated()`, and after
                `finish()` those that the run ended with.
        """
        if state is None:
            state = self.evaluated() if self._final is None else self._final
        others = {n: v for n, v in self._buffers_now().items() if n not in state}
        network = Network(self.model, state, others, {}, draws=self._draws)
        view = PredictionView(state, network, inputs, self.rng("predict"))
        with modes_kept(self.model):
            self.model.eval()
            outputs = self.regularizer.predict(self.memory, view)
        return mean_prediction(outputs, self.task)

    @torch.no_grad()
    def finish(self, batches: Iterable[Tensor] = ()) -> nn.Module:
        """Put the weights that the run ends with into the model, and return it.

        Techniques that predict otherwise than the network, such as `temperature_scaling` or an
        ensemble, do so in `predict` alone.
        """
        self._final = self.regularizer.restore(self.memory, self.evaluated(batches))
        self._final = {name: value.clone() for name, value in self._final.items()}
        self.model.load_state_dict(self._final, strict=False)
        self.stop_watching()
        return self.model.eval()

    def state_dict(self) -> dict[str, Any]:
        """All that training goes on from, copied: `torch.save` writes it.

        It may be taken after any step or epoch. Not in it are the schedule and the order of the
        batches, which are yours.

        Raises:
            ValueError: after `finish`, which put other weights into the model.
        """
        self._check_unfinished("state_dict")
        state = {
            "seed": self._seed,
            "steps_per_epoch": self._steps_per_epoch,
            "epoch": self.epoch,
            "step": self.step_index,
            "stopped": self.stopped,
            "seconds": time.monotonic() - self._began,
            "losses": self._losses,  # of an epoch that has not ended
            "rows": self._rows,
            "model": self.model.state_dict(),
            "memory": self.memory,
            "optimizer": self.optimizer.state_dict(),
        }
        return copy.deepcopy(state)

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Any], batches: Iterable[Tensor] = ()) -> None:
        """Go on from what `state_dict` gave: with the same batches, the run makes the same bits.

        Args:
            state: of a run with the same model, techniques, optimizer and seed.
            batches: those that `end_epoch` was given last, if it was, for techniques that average
                weights: they are no part of the state.

        Raises:
            ValueError: the state is of another run; this one cannot be used any more.
        """
        self._check_unfinished("load_state_dict")
        if missing := [key for key in ("seed", "model", "memory", "optimizer") if key not in state]:
            raise ValueError(
                f"load_state_dict: there is no {missing[0]} in the state; give what "
                "Regularized.state_dict() returned"
            )
        self._check_same("seed", state["seed"], self._seed)
        self._check_same("steps_per_epoch", state["steps_per_epoch"], self._steps_per_epoch)
        self._check_same("techniques", list(state["memory"]), list(self.memory))
        try:
            self.model.load_state_dict(state["model"])
        except RuntimeError as error:
            message = f"load_state_dict: the state is of another network: {error}"
            raise ValueError(message) from error
        # torch's goes on in the very tensors that it is given
        load_state(self.optimizer, copy.deepcopy(state["optimizer"]))
        kept = copy.deepcopy({key: state[key] for key in ("memory", "losses")})
        rest = moved(kept, self.device)
        self.memory, self._losses = rest["memory"], rest["losses"]
        self.epoch, self.step_index = state["epoch"], state["step"]
        self.stopped, self._rows = state["stopped"], list(state["rows"])
        self._batches = list(batches)
        self._began = time.monotonic() - state["seconds"]

    def _check_same(self, what: str, theirs: object, ours: object) -> None:
        if theirs != ours:
            raise ValueError(
                f"load_state_dict: the state is of a run with {what}={theirs}, and this one has "
                f"{ours}; make it as that one was made"
            )

    def _check_unfinished(self, what: str) -> None:
        if self._final is not None:
            raise ValueError(
                f"{what}: the run is finished, and its model has the weights that it ended with; "
                "keep run.model.state_dict(), or take the state before finish() and go on from it"
            )

    def _check(self, inputs: Tensor, targets: Tensor, *, soft: bool = False) -> None:
        check_tensors(inputs=inputs, targets=targets)
        if not len(inputs):
            raise ValueError("inputs: expected [rows, *features] of one row or more, got none")
        if self.task == "regression":
            check_values(targets, len(inputs), self._outputs, own_loss=self.own_loss is not None)
        else:
            check_classes(targets, len(inputs), self._classes, soft=soft)
