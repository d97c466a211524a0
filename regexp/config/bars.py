"""`trainer.bars`: what a run must have reached to go on, as in successive halving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from regexp.config.values import is_int, is_number, shown
from regexp.errors import ConfigError
from regexp.metrics import names
from regexp.metrics.bars import Bar

Bars = Sequence[Bar]
"""In the ascending order of their epochs."""


def as_bars(asked: Any) -> Bars:
    """`trainer.bars`, read.

    Args:
        asked: as of the configuration, plain.

    Raises:
        ConfigError: it is no list of epochs, losses and scores.
    """
    if asked is None:
        return []
    found: list[Bar] = []
    for one in asked if isinstance(asked, list) else [asked]:
        bar = _as_bar(one)
        if bar is None or bar.epoch <= (found[-1].epoch if found else 0):
            raise ConfigError(
                key="trainer.bars", got=shown(asked),
                expected="null, or epochs in ascending order, each with a loss or null and, if "
                "that is to decide first, a score, such as [[5,0.7],[15,0.4,{accuracy:0.91}]] or "
                f"[[5,null,{{rmse:0.8}}]], of {', '.join(names.AT_BARS)}",
            )  # fmt: skip
        found.append(bar)
    return found


def _as_bar(one: Any) -> Bar | None:
    match one:
        case [epoch, loss] if is_int(epoch) and _is_bound(loss):
            return Bar(epoch, _as_float(loss))
        case [epoch, loss, dict(scores)] if len(scores) == 1:
            [(metric, score)] = scores.items()
            bar = _as_bar([epoch, loss])
            if bar and metric in names.AT_BARS and _is_bound(score) and _may_be(metric, score):
                return bar._replace(metric=metric, score=_as_float(score))
    return None


def as_lists(bars: Bars) -> list[list[object]]:
    """Bars as a configuration has them, of which `as_bars` makes the same again."""
    return [
        [bar.epoch, bar.loss, *([{bar.metric: bar.score}] if bar.metric else [])] for bar in bars
    ]


def _is_bound(value: Any) -> bool:
    return value is None or (is_number(value) and math.isfinite(value))


def _may_be(metric: str, score: float | None) -> bool:
    """Whether a metric can have this value: a share is from 0 to 1, an error not below 0."""
    if score is None or metric == "r2":
        return True
    return score >= 0 and (score <= 1 or not names.is_share(metric))


def _as_float(value: float | None) -> float | None:
    return None if value is None else float(value)


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
