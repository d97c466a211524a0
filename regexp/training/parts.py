"""A stack whose runs do not all train at once: one part of them after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from regexp.stack.member import Member
from regexp.stack.stack import Stack
from regexp.training.loop import EpochReport, Save, train
from regexp.training.state import Result, TrainingState, Unfit
from regexp.training.steps import AUTO


class Parts:
    """The runs of a stack, in parts that train one after another; each is a stack of its own.

    Args:
        members: of equal structure.
        at_once: how many train side by side; the last part may have fewer.
        make: makes a stack of members.

    Attributes:
        at_once: likewise.
    """

    def __init__(
        self, members: Sequence[Member], at_once: int, make: Callable[[Sequence[Member]], Stack]
    ) -> None:
        self._members = members
        self.at_once = at_once
        self._make = make
        self._first = 0
        self._ended: list[Result] = []
        self._begun: tuple[Stack, TrainingState | None] = self._stack(), None

    def resume(self, content: dict[str, Any]) -> None:
        """Go on from what `train` had saved, for equal members and as many at once.

        Raises:
            Unfit: it was taken of other runs; this object cannot be used any more.
        """
        try:
            first, ended = content["first"], [Result(**result) for result in content["ended"]]
            before = list(range(first))
            if sorted(result.run for result in ended) != before or first % self.at_once:
                raise ValueError(f"{len(ended)} runs have ended before the run {first}")
        except Exception as error:  # values of any type may stand anywhere
            raise Unfit(f"it is of other runs: {error}") from error
        if first:
            self._first, self._ended = first, ended
            self._begun = self._stack(), None
        stack = self._begun[0]
        self._begun = stack, TrainingState.resumed(stack, content)

    def train(
        self,
        epochs: int,
        report: EpochReport,
        save: Save = lambda epoch, content: None,
        way: str = AUTO,
    ) -> list[Result]:
        """`regexp.training.loop.train` of every part.

        Returns:
            One result a run, in the order of the members.
        """
        while True:
            first, (stack, state) = self._first, self._begun
            results = train(
                stack,
                epochs,
                partial(_report, report, first),
                partial(self._save, save),
                state,
                way,
            )
            for result in results:
                result.run += first
                result.together = [first + run for run in result.together]
            self._ended += results
            if (following := first + self.at_once) >= len(self._members):
                return sorted(self._ended, key=lambda result: result.run)
            self._first = following
            del stack, state, self._begun  # its rows and moments, before the next ones'
            self._begun = self._stack(), None

    def _stack(self) -> Stack:
        """A stack of the part that begins at `first`."""
        return self._make(self._members[self._first : self._first + self.at_once])

    def _save(self, save: Save, epoch: int, content: Callable[[], dict[str, Any]]) -> None:
        before = {"first": self._first, "ended": [vars(result) for result in self._ended]}
        save(epoch, lambda: content() | before)


def _report(
    report: EpochReport, first: int, run: int, epoch: int, metrics: dict[str, float]
) -> None:
    report(first + run, epoch, metrics)
