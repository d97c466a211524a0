"""Which recipes make a portfolio: the few of which one is good on each dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regexp.search.recipe import Recipe


def greedy(scores: Sequence[Sequence[float]], size: int) -> list[int]:
    """The candidates that together have the best of each dataset, on average.

    One after another is taken that raises the mean over datasets of the best score the most, the
    earlier where two do alike, until none does.

    Args:
        scores: [datasets, candidates], higher is better.
        size: of the choice, at most.
    """
    chosen: list[int] = []
    best = [float("-inf")] * len(scores)
    while len(chosen) < size:
        gains = [sum(map(max, best, column)) for column in zip(*scores, strict=True)]
        position = gains.index(max(gains))
        if gains[position] <= sum(best):
            break
        chosen.append(position)
        best = [max(old, row[position]) for old, row in zip(best, scores, strict=True)]
    return chosen


def as_entry(recipe: Recipe) -> dict[str, Any]:
    """A recipe as an entry of `search.portfolio`."""
    techniques = {name: _nested(numbers) for name, numbers in recipe.techniques.items()}
    return _nested(recipe.shared) | {"regularizer": techniques}


def _nested(numbers: Mapping[str, Any]) -> dict[str, Any]:
    node: dict[str, Any] = {}
    for key, value in numbers.items():
        *path, last = key.split(".")
        inner = node
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return node
