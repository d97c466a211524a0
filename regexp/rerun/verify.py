"""Hold the results of a run that was made again against those of the first, bit for bit."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from regexp.rerun.original import Original
from regexp.training.checkpoint import digest

Metrics = Mapping[str, Mapping[int, float]]

LAST = math.inf
"""Metrics of the whole run, at step 0, come after those of the last epoch."""


@dataclass(frozen=True)
class Results:
    """What a run came to.

    Attributes:
        status: `FINISHED` or `FAILED`.
        reason: of a failure.
        metrics: name -> step -> value; those of the whole run at step 0.
        weights_sha256: digest of the final weights; empty if there are none.
        load_last: reads the checkpoint `last.pt`; None where there is none.
    """

    status: str
    reason: str
    metrics: Metrics
    weights_sha256: str
    load_last: Callable[[], dict[str, Any] | None]

    @classmethod
    def of(cls, run: Original) -> "Results":
        """The results of a recorded run."""
        return cls(run.status, run.reason, run.metrics, run.weights_sha256, run.load_last)


@dataclass(frozen=True)
class MetricDifference:
    """The first step at which a metric is not what it was.

    Attributes:
        name: of the metric.
        step: an epoch, counted from 1; 0 for a metric of the whole run.
        then: its value in the first run; None if it has none there.
        now: its value in the second.
    """

    name: str
    step: int
    then: float | None
    now: float | None

    @property
    def absolute(self) -> float:
        """How large the difference is; NaN if one value is missing or NaN."""
        if self.then is None or self.now is None:
            return math.nan
        return abs(self.now - self.then)

    @property
    def relative(self) -> float:
        """The same by the larger of both values."""
        if self.then is None or self.now is None:
            return math.nan
        return self.absolute / max(abs(self.then), abs(self.now))


@dataclass(frozen=True)
class StateDifference:
    """A tensor or number of the last checkpoint that is not what it was.

    Attributes:
        name: its dotted place, such as `weights.layers.0.weight`.
        what: how it differs, in words.
    """

    name: str
    what: str


@dataclass(frozen=True)
class Verdict:
    """How the results of two runs compare; `identical` if in every bit.

    Attributes:
        outcome: how the runs ended, where that differs: "FINISHED -> FAILED (...)".
        metrics: of every metric that differs the first step, by step.
        weights: what differs of the last checkpoint, final weights first.
        values: how many values of metrics were compared.
        epochs: of the first run.
        tensors: how many tensors were compared; 0 if only digests could be, or nothing.
        digest: whether digests of the final weights were compared.
    """

    outcome: str
    metrics: list[MetricDifference]
    weights: list[StateDifference]
    values: int
    epochs: int
    tensors: int
    digest: bool

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not (self.outcome or self.metrics or self.weights)

    @property
    def first(self) -> MetricDifference | None:
        """The metric that differed first."""
        return self.metrics[0] if self.metrics else None


def verify(then: Results, now: Results) -> Verdict:
    """Compare all that two runs came to, except for how long they took.

    A NaN equals a NaN. The zeros of both signs are one number as a metric, because databases keep
    only one, and two as a weight.
    """
    outcome = ""
    if (then.status, then.reason) != (now.status, now.reason):
        outcome = f"{_ending(then)} -> {_ending(now)}"
    compared = _Compared()
    weights = _compare_state(then, now, compared)
    first, second = _results(then.metrics), _results(now.metrics)
    return Verdict(
        outcome=outcome,
        metrics=_compare_metrics(first, second),
        weights=weights,
        values=len({(name, step) for table in (first, second) for name in table
                    for step in table[name]}),
        epochs=max((step for steps in first.values() for step in steps), default=0),
        tensors=compared.tensors,
        digest=compared.digest,
    )  # fmt: skip


@dataclass
class _Compared:
    tensors: int = 0
    digest: bool = False
    differences: list[StateDifference] = field(default_factory=list)


def _ending(results: Results) -> str:
    return f"{results.status} ({results.reason})" if results.reason else results.status


def _results(metrics: Metrics) -> dict[str, Mapping[int, float]]:
    """The metrics that are results: times are none."""
    return {name: steps for name, steps in metrics.items() if name != "seconds"}


def _compare_metrics(then: Metrics, now: Metrics) -> list[MetricDifference]:
    found = []
    for name in then.keys() | now.keys():
        before, after = then.get(name, {}), now.get(name, {})
        steps = [
            step for step in before.keys() | after.keys()
            if not _same(before.get(step), after.get(step))
        ]  # fmt: skip
        if steps:
            step = min(steps, key=lambda step: step or LAST)
            found.append(MetricDifference(name, step, before.get(step), after.get(step)))
    return sorted(found, key=_order)


def _order(difference: MetricDifference) -> tuple[float, bool, str]:
    """What comes first in a run: in an epoch training comes before validation."""
    training = difference.name.startswith("train/")
    return (difference.step or LAST, not training, difference.name)


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def _compare_state(then: Results, now: Results, compared: _Compared) -> list[StateDifference]:
    """What differs of the last checkpoints, by digest alone where one of them is not there."""
    found: list[StateDifference] = []
    contents: list[dict[str, Any] | None] = []
    for when, results in (("first", then), ("second", now)):
        try:
            content = results.load_last()
        except (ValueError, RuntimeError, OSError) as error:  # each says which file it is
            found.append(StateDifference("last.pt", f"of the {when} run: {error}"))
            content = None
        contents.append(content)
        recorded = results.weights_sha256
        if content and recorded and recorded != digest(_tensors(content.get("weights"))):
            found.append(
                StateDifference(
                    "weights",
                    f"the {when} run's checkpoint does not have the digest that was recorded "
                    "with it: one of the two was changed",
                )
            )
    before, after = contents
    compared.digest = bool(then.weights_sha256 and now.weights_sha256)
    differ = then.weights_sha256 != now.weights_sha256
    if differ and (before is None or after is None):
        found.append(StateDifference("weights", _digests(then, now)))
    if before is not None and after is not None:
        keys = sorted(before.keys() | after.keys(), key=lambda key: (key != "weights", str(key)))
        for key in keys:
            found += _differ(str(key), before.get(key), after.get(key), compared)
    return found


def _digests(then: Results, now: Results) -> str:
    first, second = (one.weights_sha256[:12] or "none" for one in (then, now))
    return f"digest {first} -> {second}"


def _tensors(weights: object) -> dict[str, Tensor]:
    found = weights if isinstance(weights, Mapping) else {}
    return {str(name): value for name, value in found.items() if isinstance(value, Tensor)}


def _differ(name: str, then: Any, now: Any, compared: _Compared) -> Iterator[StateDifference]:
    """What differs between two nested values, by the dotted names of their parts."""
    if isinstance(then, Tensor) and isinstance(now, Tensor):
        compared.tensors += 1
        if what := _tensors_differ(then.detach().cpu(), now.detach().cpu()):
            yield StateDifference(name, what)
    elif isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in [*then, *(key for key in now if key not in then)]:
            if key in then and key in now:
                yield from _differ(f"{name}.{key}", then[key], now[key], compared)
            else:
                when = "first" if key in then else "second"
                yield StateDifference(f"{name}.{key}", f"only the {when} run has it")
    elif isinstance(then, list | tuple) and isinstance(now, list | tuple):
        if len(then) != len(now):
            yield StateDifference(name, f"{len(then)} -> {len(now)} values")
            return
        for index, (before, after) in enumerate(zip(then, now, strict=True)):
            yield from _differ(f"{name}.{index}", before, after, compared)
    elif isinstance(then, float) and isinstance(now, float):
        if not _same(then, now):
            yield StateDifference(name, f"{then!r} -> {now!r}")
    elif type(then) is not type(now) or then != now:
        yield StateDifference(name, f"{_shown(then)} -> {_shown(now)}")


def _shown(value: object) -> str:
    return type(value).__name__ if isinstance(value, Tensor | Mapping) else repr(value)[:40]


def _tensors_differ(then: Tensor, now: Tensor) -> str:
    """How two tensors differ, in words; empty if they do not."""
    if then.dtype != now.dtype or then.shape != now.shape:
        kinds = (f"{str(t.dtype).removeprefix('torch.')} {list(t.shape)}" for t in (then, now))
        return " -> ".join(kinds)
    same = then == now
    if then.is_floating_point():
        # the zeros of both signs are equal, but not to the bit
        same = (same & (then.signbit() == now.signbit())) | (then.isnan() & now.isnan())
    if same.all():
        return ""
    count = int((~same).sum())
    many = f"{count} of {then.numel()} values"
    if then.dtype == torch.bool:
        return many
    distance = (now[~same].double() - then[~same].double()).abs()
    known = distance[~distance.isnan()]
    return f"{many}, by at most {float(known.max()):.3g}" if len(known) else f"{many}, NaN or not"
