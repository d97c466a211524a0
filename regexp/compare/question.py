"""What a comparison is asked, and what a sweep was asked by its own configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol


class Texts(Protocol):
    """Where the artifacts of runs are read from: a `Tracker`, or the `Reader` of a store."""

    def text(self, run_id: str, name: str) -> bytes | None:
        """A text artifact of a run; None where there is none."""


@dataclass(frozen=True)
class Question:
    """What a comparison is asked; None is answered as fits the runs.

    Attributes:
        metric: as recorded, such as `test/accuracy`; None is that, or `test/rmse` in regression,
            or `test/loss` where there are both.
        factor: what is compared: a dotted key or group such as `optimizer`; None is techniques, or
            where there is one technique what else was varied, if that is one thing.
        baseline: what the others are held against, a technique or level, also with its numbers,
            `l1 (strength=0.001)`; None is `none`, or the level that was run first.
        matters: the least gain that matters, in points of accuracies and other shares, else in the
            metric's own unit; None is half a point, or 1% of the baseline's mean.
    """

    metric: str | None = None
    factor: str | None = None
    baseline: str | None = None
    matters: float | None = None

    @property
    def options(self) -> list[str]:
        """Words of the command line with which `regexp compare` is asked the same."""
        given = {name: value for name, value in vars(self).items() if value not in (None, "")}
        return [word for name, value in given.items() for word in (f"--{name}", str(value))]

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> Question:
        """That of `compare` in a configuration or in what a sweep recorded of it."""
        given = {one.name: settings.get(one.name) for one in fields(cls)}
        matters = given["matters"]
        return cls(**given | {"matters": None if matters is None else float(matters)})

    def filled(self, other: Question) -> Question:
        """This one, with what is not asked from another; with a factor goes its own baseline."""
        given = {name: text for name, text in vars(self).items() if text is not None}
        if self.factor is not None:
            given.setdefault("baseline", None)
        return Question(**vars(other) | given)


def recorded_question(source: Texts, sweep_ids: Iterable[str]) -> Question:
    """What sweeps were asked by their configurations, if that is the same of all; else nothing."""
    import yaml

    asked = set()
    for sweep_id in sweep_ids:
        try:
            settings = yaml.safe_load(source.text(sweep_id, "sweep.yaml") or b"")
            asked.add(Question.read(settings["compare"]))
        except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
            asked.add(Question())  # of an earlier version, or by other hands
    return asked.pop() if len(asked) == 1 else Question()
