"""`trainer.bars`: validation losses above which a run ends early, as in successive halving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from regexp.config.values import is_int, is_number, shown
from regexp.errors import ConfigError

Bars = Sequence[tuple[int, float | None]]
"""(epoch, the most that the validation loss may be after it, or None), in ascending order."""


def as_bars(asked: Any) -> Bars:
    """`trainer.bars` as pairs.

    Args:
        asked: as of the configuration, plain.

    Raises:
        ConfigError: it is no list of epochs and losses.
    """
    if asked is None:
        return []
    found: list[tuple[int, float | None]] = []
    for pair in asked if isinstance(asked, list) else [asked]:
        before = found[-1][0] if found else 0
        match pair:
            case [epoch, loss] if is_int(epoch) and before < epoch and _is_loss(loss):
                found.append((epoch, None if loss is None else float(loss)))
            case _:
                raise ConfigError(
                    key="trainer.bars", got=shown(asked),
                    expected="null, or epochs in ascending order, each with a loss or null, such "
                    "as [[5,0.7],[15,0.4]]",
                )  # fmt: skip
    return found


def _is_loss(value: Any) -> bool:
    return value is None or (is_number(value) and math.isfinite(value))


def rungs_of(eta: int | None, first: int | None, epochs: int) -> list[int]:
    """The epochs after which trials are halved: `first` and eta times as many, again and again.

    A rung has at least eta times its epochs before it, so that one that is left saves something.

    Args:
        eta: of all trials, one in so many goes on; None for no rungs.
        first: epochs of the first rung; None for those two rungs below the full length.
        epochs: of a run in full.
    """
    if eta is None:
        return []
    rung = max(1, epochs // eta**2) if first is None else first
    found = []
    while rung * eta <= epochs:
        found.append(rung)
        rung *= eta
    return found
