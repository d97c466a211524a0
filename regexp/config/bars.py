"""`trainer.bars`: what a run must have reached to go on, as in successive halving."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from regexp.config.values import is_int, is_number, shown
from regexp.errors import ConfigError


class Bar(NamedTuple):
    """What a run must have reached after an epoch to go on.

    Attributes:
        epoch: counted from 1.
        loss: the most that the validation loss may be; None for any.
        accuracy: the least that the validation accuracy may be, from 0 to 1; None for the loss
            alone. The loss decides where the accuracy is just this one, and in regression.
        rmse: in regression, the most that the validation RMSE may be, which then decides alone,
            whatever loss is trained with; None for the loss.
    """

    epoch: int
    loss: float | None = None
    accuracy: float | None = None
    rmse: float | None = None

    def passes(self, loss: float, accuracy: float | None, rmse: float | None = None) -> bool:
        """Whether a run goes on.

        Args:
            loss: on the validation rows.
            accuracy: on the same; None in regression.
            rmse: on the same; None but in regression.
        """
        if self.rmse is not None and rmse is not None:
            return rmse <= self.rmse
        if self.accuracy is not None and accuracy is not None:
            ours, least = as_compared(accuracy), as_compared(self.accuracy)
            if ours != least:
                return ours > least
        return self.loss is None or loss <= self.loss

    def as_list(self) -> list[float | None]:
        """As a configuration has it: without an accuracy and an RMSE if there are none."""
        scores = [self.accuracy, self.rmse]
        while scores and scores[-1] is None:
            scores.pop()
        return [self.epoch, self.loss, *scores]


Bars = Sequence[Bar]
"""In the ascending order of their epochs."""


def as_compared(accuracy: float) -> float:
    """An accuracy to five decimals, so that 0.9 is 9 of 10 in any precision."""
    return round(accuracy, 5)


def as_bars(asked: Any) -> Bars:
    """`trainer.bars`, read.

    Args:
        asked: as of the configuration, plain.

    Raises:
        ConfigError: it is no list of epochs, losses, accuracies and RMSEs.
    """
    if asked is None:
        return []
    found: list[Bar] = []
    for one in asked if isinstance(asked, list) else [asked]:
        before = found[-1].epoch if found else 0
        match one:
            case [epoch, loss, *rest] if (
                is_int(epoch) and before < epoch and _is_loss(loss) and _are_scores(*rest)
            ):
                found.append(Bar(epoch, *(None if it is None else float(it) for it in one[1:])))
            case _:
                raise ConfigError(
                    key="trainer.bars", got=shown(asked),
                    expected="null, or epochs in ascending order, each with a loss or null and, if "
                    "that is to decide first, an accuracy from 0 to 1, such as "
                    "[[5,0.7],[15,0.4,0.91]]; in regression null and an RMSE, [[5,0.7,null,0.8]]",
                )  # fmt: skip
    return found


def _is_loss(value: Any) -> bool:
    return value is None or (is_number(value) and math.isfinite(value))


def _are_scores(accuracy: Any = None, rmse: Any = None, *more: Any) -> bool:
    """Whether these are an accuracy or an RMSE, and not both."""
    if more or not (_is_loss(accuracy) and _is_loss(rmse)):
        return False
    return None in (accuracy, rmse) and 0 <= (accuracy or 0) <= 1 and (rmse or 0) >= 0


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
