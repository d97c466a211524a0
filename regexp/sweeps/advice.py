"""What techniques tell of a run before it is trained."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import accumulate

from regexp.regularizer.base import Course
from regexp.regularizer.cocktail import Cocktail
from regexp.regularizer.conflicts import CLASS_WEIGHTS
from regexp.stack.optimizers import simulate
from regexp.sweeps.identity import Node
from regexp.sweeps.ingredients import build_stepper

SIMULATED = 100_000
"""Steps whose learning rates are looked at, at most."""


def advice(config: Node, regularizer: Cocktail, plan: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    """Sentences on numbers that do not suit a run, each with its technique's key.

    Args:
        config: of the run, resolved.
        regularizer: its techniques.
        plan: its `lengths`.
    """
    balanced = config["trainer"]["class_weight"] is not None
    told = [*_balanced_twice(regularizer)] if balanced else []
    if not regularizer.uses("advise"):
        return tuple(told)
    counts = tuple(steps for _, steps in plan)
    nodes = json.dumps({key: config[key] for key in ("optimizer", "scheduler")})
    rates = lambda: _learning_rates(nodes, counts) if sum(counts) <= SIMULATED else ()
    return (*told, *regularizer.advise(Course(list(accumulate(counts)), rates)))


def _balanced_twice(regularizer: Cocktail) -> Iterator[str]:
    """A line on each technique that does what `trainer.class_weight` does."""
    for name, technique in regularizer.techniques.items():
        if CLASS_WEIGHTS in (*technique.provides, *technique.refuses):
            yield (
                f"regularizer.{name}: trainer.class_weight balances the classes as well, and both "
                "together too much; leave one of the two out"
            )


@lru_cache(maxsize=8)
def _learning_rates(nodes: str, counts: Sequence[int]) -> Sequence[float]:
    """Those of every step; none where they follow the validation loss."""
    rates, follows_loss = simulate(build_stepper(json.loads(nodes)), counts)
    return () if follows_loss else rates
