"""A cocktail for K runs: every hook, written for one run, lifted over the run axis by `vmap`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from regexp.regularizer.base import Batch, GradientView, Memory, Step, Tensors
from regexp.regularizer.cocktail import Cocktail
from regexp.stack.streams import Outside, StackedRng
from regexp.stack.vmapped import stacked

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def lifted(
    hook: Callable[Concatenate[Cocktail, _Arguments], _Result],
) -> Callable[Concatenate[LiftedCocktail, _Arguments], _Result]:
    """A hook of `Cocktail` for all runs of a `LiftedCocktail` at once.

    Wherever its arguments hold a tensor [K, ...], the hook sees one run's, [...], and wherever they
    hold a stream, it draws from that run's. All else (flags, functions) is the same for all runs.
    """

    @wraps(hook)
    def all_runs(self: LiftedCocktail, *arguments: Any, **named: Any) -> Any:
        leaves, structure = pytree.tree_flatten((self.numbers, arguments, named))

        def single_run(index: Tensor, *leaves: Any) -> Any:
            inside = [x.inside(index) if isinstance(x, StackedRng) else x for x in leaves]
            numbers, arguments, named = pytree.tree_unflatten(inside, structure)
            cocktail = self.cocktails[0]
            if any(numbers.values()):
                cocktail = cocktail.with_numbers(numbers)
            return hook(cocktail, *arguments, **named)

        axes = [0 if isinstance(leaf, Tensor) else None for leaf in leaves]
        vmapped = torch.vmap(single_run, in_dims=(0, *axes), randomness=self.randomness)
        return vmapped(self.index, *leaves)

    return all_runs


def _batch_tensors(cocktail: Cocktail, step: Step, batch: Batch) -> Tensors:
    """What `batch` gives, without what there is not: `vmap` returns tensors alone."""
    parts = cocktail.batch(step, batch)._asdict()
    return {name: part for name, part in parts.items() if part is not None}


class LiftedCocktail:
    """The interface of `Cocktail` on tensors with a leading run axis [K, ...].

    Args:
        cocktails: one a run, equal but for their numbers.
        draws: whether the network that hooks may call draws itself (`regexp.model.draws`).
    """

    def __init__(
        self, cocktails: Sequence[Cocktail], device: torch.device, draws: bool = False
    ) -> None:
        self.draws = draws
        self.randomness = "different" if draws else "error"
        self.cocktails = list(cocktails)
        self.device = device
        self.index = torch.arange(len(cocktails), device=device)
        self.numbers = self._stack_numbers()

    def _stack_numbers(self) -> dict[str, dict[str, Tensor]]:
        """The numbers that differ, [K] each in float64, as floats are; the others stay floats."""
        each = [cocktail.numbers() for cocktail in self.cocktails]
        return {
            name: {
                key: pytree.tree_map(
                    lambda n: n.to(self.device), stacked([n[name][key] for n in each])
                )
                for key in fields
                if len({n[name][key] for n in each}) > 1
            }
            for name, fields in each[0].items()
        }

    def take(self, runs: Sequence[int]) -> LiftedCocktail:
        """The same for some of the runs."""
        return LiftedCocktail([self.cocktails[run] for run in runs], self.device, self.draws)

    def uses(self, hook: str) -> bool:
        return self.cocktails[0].uses(hook)

    def flag(self, name: str) -> bool:
        return self.cocktails[0].flag(name)

    def keeps(self, step: Step) -> bool:
        return self.cocktails[0].keeps(step)

    @property
    def is_capturable(self) -> bool:
        return self.cocktails[0].is_capturable

    @property
    def takes_turns(self) -> bool:
        return self.cocktails[0].takes_turns

    turns = lifted(Cocktail.turns)
    _batch_tensors = lifted(_batch_tensors)
    penalty = lifted(Cocktail.penalty)
    constrain = lifted(Cocktail.constrain)
    init = lifted(Cocktail.init)
    track = lifted(Cocktail.track)
    keep = lifted(Cocktail.keep)
    observe = lifted(Cocktail.observe)
    taken = lifted(Cocktail.taken)
    weights = lifted(Cocktail.weights)
    predict = lifted(Cocktail.predict)
    restore = lifted(Cocktail.restore)
    stop = lifted(Cocktail.stop)

    def batch(self, step: Step, batch: Batch) -> Batch:
        """The lifted hook."""
        return Batch(**self._batch_tensors(step, batch))

    def gradient(self, step: Step, view: GradientView) -> tuple[Tensors, Memory]:
        """The lifted hook; when it asks for gradients elsewhere, they are taken for all runs."""
        names, trained = list(view.parameters), list(view.gradients)

        def all_runs(*values: Tensor) -> tuple[Tensor, ...]:
            gradients = view.regradient(dict(zip(names, values, strict=True)))
            return tuple(gradients[name] for name in trained)

        def single_run(point: Tensors) -> Tensors:
            values = Outside.apply(all_runs, *(point[name] for name in names))
            return dict(zip(trained, values, strict=True))

        return lifted(Cocktail.gradient)(self, step, view._replace(regradient=single_run))
