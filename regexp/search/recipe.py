"""A recipe: numbers that every recipe has, and techniques with theirs."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regexp.sweeps.identity import Node
from regexp.sweeps.tuning import Numbers, numbers_in_words

MODEL, SCHEDULER = "model", "scheduler"
"""The shared things that are no numbers: each the name of a whole node."""


@dataclass(frozen=True)
class Recipe:
    """What a configuration is made of beside the data.

    Attributes:
        shared: dotted key -> value, of what every recipe has; `model` and `scheduler` -> its name.
        techniques: name -> its numbers that are searched, by dotted key within the technique.
    """

    shared: Numbers
    techniques: Mapping[str, Numbers]

    @property
    def key(self) -> str:
        """The same of equal recipes alone."""
        return json.dumps([self.shared, self.techniques], sort_keys=True)

    def __str__(self) -> str:
        """The recipe in words: "dropout (hidden=0.2) + mixup (alpha=0.4); lr=0.003"."""
        parts = [
            f"{name} ({numbers_in_words(numbers)})" if numbers else name
            for name, numbers in self.techniques.items()
        ]
        return f"{' + '.join(parts) or 'none'}; {numbers_in_words(self.shared)}"


def with_numbers(node: Node, numbers: Mapping[str, Any]) -> Node:
    """A copy of a node, plain, with other values at some dotted keys."""
    changed = copy.deepcopy(node)
    for key, value in numbers.items():
        *path, last = key.split(".")
        inner = changed
        for part in path:
            inner = inner[part]
        inner[last] = value
    return changed
