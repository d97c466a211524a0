"""Several techniques at once: an ordered mapping by name, itself a regularizer."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from regexp.errors import ConfigError
from regexp.model.global_draws import no_global_draws
from regexp.regularizer.base import (
    HOOKS,
    Batch,
    Course,
    Evaluation,
    GradientView,
    Memory,
    Noise,
    ParameterKinds,
    PenaltyView,
    PredictionView,
    Regularizer,
    Schedule,
    Step,
    Tensors,
    overrides,
    total,
)
from regexp.regularizer.conflicts import check_together
from regexp.regularizer.returned import of_names, of_rows, of_tensors, of_type
from regexp.regularizer.turns import (
    alternatives,
    check_alternatives,
    check_idle,
    turn_of_each,
)

LATE = {"constraint": 1, "sparsity": 2}
"""Kinds of techniques whose result must hold: they see the parameters after all others."""

TechniqueNumbers = dict[str, dict[str, Any]]
"""Hyper-parameters that are floats, by technique and name."""


class Cocktail(Regularizer):
    """Techniques applied one after another, in the order they are given.

    The order matters where hooks feed each other: batches, gradients and new parameters go through
    the techniques in turn (so clipping listed after SAM clips SAM's gradient). What must hold of
    the weights comes last, wherever it is listed: constraints after decay and averages, sparsity
    after constraints. What is evaluated is a chain, wherever its links are listed: slow weights,
    averages of those (`follows`), constraints, and snapshots of the result (`keeps`). Layers go to
    the slots of their kind whatever the order, and several in one slot stand in it in this order,
    the scales of `batch_ensemble` before a normalization. Penalties add up; the run stops when any
    technique says so. Of several techniques that mix rows (`mixes`), and are not neutral, each
    batch gets one, drawn with equal chances; so it does of those that a technique calls
    `alternatives`.

    Args:
        techniques: by name. The name keys the technique's random stream.

    Raises:
        ValueError: for what is no technique, and for two that do not go together.
    """

    def __init__(self, techniques: Mapping[str, Regularizer]) -> None:
        self.techniques = dict(techniques)
        check_together(self.techniques)
        self._groups = alternatives(self.techniques)
        turned = [self.techniques[name] for names in self._groups.values() for name in names]
        self._turned = {hook for hook in HOOKS if any(overrides(each, hook) for each in turned)}
        self._schedules = _schedules_of(self.techniques)
        self._by_hook = {
            hook: [(n, t) for n, t in self.techniques.items() if overrides(t, hook)]
            for hook in HOOKS
        }
        for hook in ("track", "weights"):  # sorts are stable
            self._by_hook[hook].sort(key=lambda pair: pair[1].follows)
        for hook in ("constrain", "weights"):
            self._by_hook[hook].sort(key=lambda pair: LATE.get(pair[1].kind, 0))

    @property
    def name(self) -> str:
        """The techniques' names joined by `+`, or `none`."""
        return "+".join(self.techniques) or "none"

    def uses(self, hook: str) -> bool:
        """Whether any technique has a `hook` of its own."""
        return bool(self._by_hook[hook])

    def flag(self, name: str) -> bool:
        """Whether any technique sets the class attribute `name` (`averages`, `uses_hidden`)."""
        return any(getattr(technique, name) for technique in self.techniques.values())

    def numbers(self) -> TechniqueNumbers:
        """The hyper-parameters that are floats, or schedules of floats, by technique."""
        kinds = float | Tensor | Schedule
        return {
            name: {k: v for k, v in technique.hyperparameters.items() if isinstance(v, kinds)}
            for name, technique in self.techniques.items()
        }

    def structure(self) -> tuple[Any, ...]:
        """All that must be equal across a stack: classes, and fields that are no floats.

        Of techniques that set the size of batches, which a stack has in common, floats too.
        """
        return tuple(
            (
                name,
                type(technique),
                tuple(
                    (key, value.shape if isinstance(value, Schedule) else repr(value))
                    for key, value in technique.hyperparameters.items()
                    if not isinstance(value, float) or overrides(technique, "batch_size")
                ),
            )
            for name, technique in self.techniques.items()
        )

    def with_numbers(self, numbers: TechniqueNumbers) -> Cocktail:
        """The same techniques with other hyper-parameters."""
        # what goes together does so with any numbers, and has the same hooks in the same order
        other = copy.copy(self)
        other.techniques = {
            name: technique.with_values(numbers[name]) if numbers.get(name) else technique
            for name, technique in self.techniques.items()
        }
        other._schedules = _schedules_of(other.techniques)
        other._by_hook = {
            hook: [(name, other.techniques[name]) for name, _ in pairs]
            for hook, pairs in self._by_hook.items()
        }
        return other

    def _now(self, step: Step, hook: str) -> list[tuple[str, Regularizer]]:
        """The techniques with a `hook`, by name, with the numbers that they have in this step."""
        techniques = self._by_hook[hook]
        if not self._schedules:
            return techniques
        return [(name, self._with_numbers_of(step, name, each)) for name, each in techniques]

    def _with_numbers_of(self, step: Step, name: str, technique: Regularizer) -> Regularizer:
        if name not in self._schedules:
            return technique
        return technique.with_values({k: s.at(step) for k, s in self._schedules[name].items()})

    def _at(self, step: Step, name: str, hook: str) -> Step:
        """`step` as one technique sees it in one hook: its own memory, a stream of its own."""
        return dataclasses.replace(
            step,
            rng=step.rng.fold(name, hook),
            shared=step.rng.fold(name, "shared"),
            memory=step.memory[name],
        )

    def advise(self, course: Course) -> list[str]:
        lines = []
        for name, technique in self._by_hook["advise"]:
            ends = {key: schedule.final for key, schedule in technique.schedules.items()}
            advice = technique.with_values(ends).advise(course)
            advice = [advice] if isinstance(advice, str) else advice
            lines += [f"{_key(name)}: {line}" for line in advice]
        return lines

    def build(self, model: nn.Module) -> nn.Module:
        for name in self.techniques:
            model = self.build_one(name, model)
        self.check_model(model)
        return model

    def build_one(self, name: str, model: nn.Module) -> nn.Module:
        """Add the layers of one technique, whose noise is drawn from streams under its name."""
        before, technique = set(model.modules()), self.techniques[name]
        check_alternatives(name, technique, self._groups)
        cure, key = "draw with functions of torch, which get the run's own stream", _key(name)
        whose = ("Python", "NumPy")
        with no_global_draws("its build draws from {}", cure, key=key, whose=whose):
            model = of_type(technique.build(model), nn.Module, key, "build")
        added = [module for module in model.modules() if module not in before]
        if any(name in group for group in self._groups.values()):
            check_idle(name, added)
        noise = [module for module in added if isinstance(module, Noise)]
        for index, module in enumerate(noise):
            module.stream, module.key = name, str(index)
            _put_schedules(module)
        return model

    def check_model(self, model: nn.Module) -> None:
        for technique in self.techniques.values():
            technique.check_model(model)

    def batch_size(self, epoch: int, batch_size: int) -> int:
        for name, technique in self._by_hook["batch_size"]:
            batch_size = of_rows(technique.batch_size(epoch, batch_size), _key(name))
        return batch_size

    def batch(self, step: Step, batch: Batch) -> Batch:
        turns = self._turns(step, "batch")
        for name, technique in self._now(step, "batch"):
            made = technique.batch(self._at(step, name, "batch"), batch)
            changed = of_type(made, Batch, _key(name), "batch").completed(batch, name)
            batch = changed.where(turns[name], batch) if name in turns else changed
        return batch

    @property
    def is_capturable(self) -> bool:
        """Whether all techniques are `capturable`."""
        return all(technique.capturable for technique in self.techniques.values())

    @property
    def takes_turns(self) -> bool:
        """Whether there are techniques of which each batch gets one, such as those that mix."""
        return bool(self._groups)

    def turns(self, step: Step) -> Tensors:
        """Whether a batch is the turn of each of the techniques that take turns: bools by name.

        Those at their neutral numbers get no turn, so that beside them nothing changes.
        """
        turns: Tensors = {}
        for group, names in self._groups.items():
            now = [self._with_numbers_of(step, name, self.techniques[name]) for name in names]
            turns |= zip(names, turn_of_each(step, group, now), strict=True)
        return turns

    def _turns(self, step: Step, hook: str) -> Tensors:
        """`turns`, if a technique that takes turns has the `hook`: else nothing is drawn for it."""
        return self.turns(step) if hook in self._turned else {}

    def penalty(self, step: Step, view: PenaltyView) -> tuple[Tensor, Memory]:
        """The sum of the penalties, and the memories that change, by technique."""
        terms, memory, turns = [], {}, self._turns(step, "penalty")
        for name, technique in self._now(step, "penalty"):
            term = technique.penalty(self._at(step, name, "penalty"), view)
            if isinstance(term, tuple):
                term, memory[name] = term
            term = torch.as_tensor(term, device=view.outputs.device)
            if term.ndim:  # such as one a row, whose sum grows with the batch
                raise ConfigError(
                    f"its penalty has the shape {list(term.shape)}, expected one number",
                    key=_key(name),
                    cure="take the mean over the rows",
                )
            terms.append(torch.where(turns[name], term, 0.0) if name in turns else term)
        return torch.as_tensor(total(terms)), memory

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        """The gradients that are left, and the memories that change, by technique."""
        memory: Memory = {}
        turns = self._turns(step, "gradient")
        for name, technique in self._now(step, "gradient"):
            gradients, changed = self._changed(step, name, technique, view, turns)
            memory |= changed
            regradient = partial(self._regradient, step, name, technique, view.regradient)
            view = GradientView(gradients, view.parameters, regradient)
        return view.gradients, memory

    def _regradient(
        self,
        step: Step,
        name: str,
        technique: Regularizer,
        before: Callable[[Tensors], Tensors],
        parameters: Tensors,
    ) -> Tensors:
        """The gradients at `parameters` as the techniques up to `technique` change them.

        `before` gives them as those before it do.
        """
        view = GradientView(before(parameters), parameters, before)
        turns = self._turns(step, "gradient")
        # with the draws and memory of the first time
        gradients, _ = self._changed(step, name, technique, view, turns)
        return gradients

    def _changed(
        self, step: Step, name: str, technique: Regularizer, view: GradientView, turns: Tensors
    ) -> tuple[Tensors, Memory]:
        """What a technique makes of gradients; and its memory, under its name, if that changes."""
        given = technique.gradient(self._at(step, name, "gradient"), view)
        gradients, memory = (
            (given[0], {name: given[1]}) if isinstance(given, tuple) else (given, {})
        )
        gradients = of_names(gradients, view.gradients.keys(), _key(name), "gradient")
        if name in turns:
            gradients = _where(turns[name], gradients, view.gradients)
        return gradients, memory

    def constrain(self, step: Step, new: Tensors, old: Tensors) -> Tensors:
        turns = self._turns(step, "constrain")
        for name, technique in self._now(step, "constrain"):
            changed = technique.constrain(self._at(step, name, "constrain"), new, old)
            changed = of_names(changed, new.keys(), _key(name), "constrain")
            # what has no dimension takes the type of a technique's number that is a tensor
            changed = {name: value.to(old[name].dtype) for name, value in changed.items()}
            new = _where(turns[name], changed, new) if name in turns else changed
        return new

    def init(self, state: Tensors, kinds: ParameterKinds) -> Memory:
        memory: Memory = {}
        cure = "begin with constants, and draw from step.rng later"
        for name, technique in self.techniques.items():
            with no_global_draws("its init draws from {}", cure, key=_key(name)):
                memory[name] = of_tensors(technique.init(state, kinds), _key(name), "init")
        return memory

    def track(self, step: Step, state: Tensors) -> Memory:
        memory = dict(step.memory)
        for name, technique in self._now(step, "track"):
            seen = self._leading(memory, state) if technique.follows else state
            memory[name] = technique.track(self._at(step, name, "track"), seen)
        return memory

    def _leading(self, memory: Memory, state: Tensors) -> Tensors:
        """What is evaluated but for the techniques that follow, and for what must hold at last."""
        for name, technique in self._by_hook["weights"]:
            if not technique.follows and technique.kind not in LATE:
                state = technique.weights(memory[name], state)
        return state

    def keeps(self, step: Step) -> bool:
        return any(technique.keeps(step) for _, technique in self._by_hook["keep"])

    def keep(self, step: Step, state: Tensors) -> Memory:
        return step.memory | {
            name: technique.keep(self._at(step, name, "keep"), state)
            for name, technique in self._now(step, "keep")
            if technique.keeps(step)
        }

    def observe(self, memory: Memory, evaluation: Evaluation) -> Memory:
        return memory | {
            name: technique.observe(memory[name], evaluation)
            for name, technique in self._by_hook["observe"]
        }

    def taken(self, inputs: Tensor) -> Tensor:
        for technique in self.techniques.values():
            inputs = technique.taken(inputs)
        return inputs

    def weights(self, memory: Memory, state: Tensors) -> Tensors:
        for name, technique in self._by_hook["weights"]:
            given = technique.weights(memory[name], state)
            state = of_names(given, state.keys(), _key(name), "weights")
        return state

    def predict(self, memory: Memory, view: PredictionView) -> Tensor:
        for name, technique in self._by_hook["predict"]:  # one at most
            outputs = technique.predict(memory[name], view._replace(rng=view.rng.fold(name)))
            if outputs.ndim != 3:
                raise ConfigError(
                    f"its predict gives outputs of shape {list(outputs.shape)}, expected [members, "
                    "rows, outputs]",
                    key=_key(name),
                    cure="add the axis of a single member by outputs.unsqueeze(0)",
                )
            return outputs
        return super().predict(memory, view)

    def restore(self, memory: Memory, state: Tensors) -> Tensors:
        for name, technique in self._by_hook["restore"]:
            given = technique.restore(memory[name], state)
            state = of_names(given, state.keys(), _key(name), "restore")
        return state

    def stop(self, memory: Memory) -> Tensor:
        stops = [torch.as_tensor(t.stop(memory[name])) for name, t in self._by_hook["stop"]]
        return torch.stack(stops).any() if stops else torch.tensor(False)


def _key(name: str) -> str:
    """Of a technique's configuration."""
    return f"regularizer.{name}"


def _schedules_of(techniques: Mapping[str, Regularizer]) -> dict[str, dict[str, Schedule]]:
    """The numbers that follow a schedule, of the techniques that have some."""
    return {name: found for name, each in techniques.items() if (found := each.schedules)}


def _put_schedules(layer: Noise) -> None:
    """Let a layer whose numbers are schedules begin with their initial values."""
    for key in layer.numbers:
        if isinstance(number := getattr(layer, key), Schedule):
            layer.schedules[key] = number
            setattr(layer, key, number.initial)


def _where(condition: Tensor, tensors: Tensors, others: Tensors) -> Tensors:
    return {name: torch.where(condition, x, others[name]) for name, x in tensors.items()}
