"""Lengths within a run, as shares of it: for YAML files, by `_target_`."""

from __future__ import annotations

import math
from collections.abc import Sequence


def share(length: int, share: float) -> int:
    """A share of a run's length in whole steps or epochs: rounded up, at least 1.

    Rounding up lets the run end within its last cycle instead of beginning another with a step or
    two at a high learning rate.

    Args:
        length: of the run, in steps or epochs.
        share: greater than 0, at most 1.

    Raises:
        ValueError: if a number is out of its range.
    """
    if not 0 < share <= 1:
        raise ValueError(f"scheduler: share must lie in (0, 1], got {share}")
    if length < 1:
        raise ValueError(f"scheduler: length must be at least 1, got {length}")
    # 0.1 * 30 is 3.0000000000000004: rounding error must not add a step.
    return max(1, math.ceil(length * share - 1e-6))


def shares(length: int, shares: Sequence[float]) -> list[int]:
    """`share` of each of several shares, for milestones."""
    return [share(length, each) for each in shares]
