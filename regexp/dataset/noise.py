"""Wrong classes, for a share of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from regexp.dataset.data import Rows, Table
from regexp.random import derive


def with_wrong_classes(table: Table, splits: Sequence[Rows], share: float, seed: int) -> Any:
    """The classes of all rows, [rows], of which a share of each of `splits` is made wrong.

    Args:
        table: of a classification.
        splits: rows whose classes may become wrong.
        share: in [0, 1). The rows of a smaller one are among those of a larger one.
        seed: of the run.
    """
    targets = table.targets.copy()
    for number, rows in enumerate(splits):
        rng = np.random.default_rng(derive(seed, "label_noise", number))
        wrong = rng.permutation(rows)[: round(share * len(rows))]
        # drawn for every row, so that a larger share changes none of a smaller one
        steps = rng.integers(1, len(table.classes), len(rows))[: len(wrong)]
        targets[wrong] = (targets[wrong] + steps) % len(table.classes)
    return targets
