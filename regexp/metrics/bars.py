"""What a run must have reached after an epoch to go on, as in successive halving."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from regexp.metrics import names


class Bar(NamedTuple):
    """What a run must have reached after an epoch to go on.

    Attributes:
        epoch: counted from 1.
        loss: the most that the validation loss may be; None for any.
        metric: that decides before the loss, one of `names.AT_BARS`; None for the loss alone.
        score: what the metric of the validation rows must be at least, or at most where low values
            are good ones; None for any, of which the run only notes its own.
    """

    epoch: int
    loss: float | None = None
    metric: str | None = None
    score: float | None = None

    def passes(self, scores: Mapping[str, float]) -> bool:
        """Whether a run goes on.

        Args:
            scores: on the validation rows by name, `loss` among them. Without the bar's metric,
                which the task has not or which is undefined on these rows, the loss decides.
        """
        if self.metric is not None and self.metric in scores and self.score is not None:
            ours = scores[self.metric]
            if names.lower_is_better(self.metric):
                return ours <= self.score
            ours, least = as_compared(ours), as_compared(self.score)
            if ours != least:
                return ours > least
        return self.loss is None or scores["loss"] <= self.loss

    @property
    def noted(self) -> list[str]:
        """The metrics of which a run notes there what it has."""
        others = [self.metric] if self.metric and self.metric not in names.NOTED_AT_BARS else []
        return [*names.NOTED_AT_BARS, *others]


def as_compared(score: float) -> float:
    """A score of which high values are good to five decimals: 0.9 is 9 of 10 in any precision."""
    return round(score, 5)
