"""Hold the results of a run that was made again against those of the first, bit for bit."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from regexp.metrics.names import EPOCH_TRAINING_LOSS, SECONDS
from regexp.rerun.original import Metrics, RunOutcome
from regexp.training.checkpoint import digest


@dataclass(frozen=True)
class MetricDifference:
    """The first step at which a metric is not what it was.

    Attributes:
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

    @property
    def order(self) -> tuple[float, bool, str]:
        """What comes first in a run: of an epoch training before validation, last the whole."""
        return (self.step or math.inf, self.name != EPOCH_TRAINING_LOSS, self.name)


@dataclass(frozen=True)
class StateDifference:
    """A tensor or number of the last checkpoint that is not what it was.

    Attributes:
        name: its dotted place, such as `weights.layers.0.weight`.
    """

    name: str
    what: str


@dataclass(frozen=True)
class BitVerdict:
    """How the results of two runs compare; `identical` if in every bit.

    Attributes:
        outcome: how the runs ended, where that differs: "FINISHED -> FAILED (...)".
        metrics: of every metric that differs the first step, by step.
        weights: what differs of the last checkpoint, final weights first.
        values: how many values of metrics were compared.
        epochs: of the first run.
        tensors: how many were compared; 0 if only digests could be, or nothing.
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
    def empty(self) -> bool:
        """Whether there was nothing to compare."""
        return not (self.values or self.tensors or self.digest)

    @property
    def first(self) -> MetricDifference | None:
        """The metric that differed first."""
        return self.metrics[0] if self.metrics else None


def verify(then: RunOutcome, now: RunOutcome, *, again: bool = True) -> BitVerdict:
    """Compare all that two runs came to, except for how long they took.

    A NaN equals a NaN. The zeros of both signs are one number as a metric, because databases keep
    only one, and two as a weight.

    Args:
        then: of the first run.
        now: of the second.
        again: whether the second is the first made again. Scores of the whole run that the first
            has none of are no difference then: later versions of regexp record more of them.
    """
    outcome = ""
    finished = then.status == now.status == "FINISHED"  # what is said beside that is no result
    if then.status != now.status or (then.reason != now.reason and not finished):
        outcome = f"{_ending(then)} -> {_ending(now)}"
    before, after = _values(then.metrics), _values(now.metrics)
    if finished and again and before:  # else what there was is lost
        further = now.metrics.keys() - then.metrics.keys()
        after = {key: value for key, value in after.items() if key[1] or key[0] not in further}
    tensors: list[str] = []
    return BitVerdict(
        outcome=outcome,
        metrics=_compare_metrics(before, after),
        weights=_compare_last(then, now, tensors),
        values=len(before.keys() | after.keys()),
        epochs=max((step for _, step in before), default=0),
        tensors=len(tensors),
        digest=bool(then.weights_sha256 and now.weights_sha256),
    )


def _ending(run: RunOutcome) -> str:
    return f"{run.status} ({run.reason})" if run.reason else run.status


def _values(metrics: Metrics) -> dict[tuple[str, int], float]:
    """The values that are results, by name and step: times are none."""
    return {
        (name, step): value
        for name, steps in metrics.items()
        for step, value in steps.items()
        if name != SECONDS
    }


def _compare_metrics(
    then: Mapping[tuple[str, int], float], now: Mapping[tuple[str, int], float]
) -> list[MetricDifference]:
    differences = [
        MetricDifference(*key, then.get(key), now.get(key))
        for key in then.keys() | now.keys()
        if key not in then or key not in now or not _same(then[key], now[key])
    ]
    first: dict[str, MetricDifference] = {}
    for difference in sorted(differences, key=lambda difference: difference.order):
        first.setdefault(difference.name, difference)
    return list(first.values())


def _same(then: float, now: float) -> bool:
    return then == now or (math.isnan(then) and math.isnan(now))


def _compare_last(then: RunOutcome, now: RunOutcome, tensors: list[str]) -> list[StateDifference]:
    """What differs of the last checkpoints, by digest alone where one of them is not there.

    Args:
        tensors: gets the names of those that are compared.
    """
    differences: list[StateDifference] = []
    contents: list[dict[str, Any] | None] = []
    for when, run in (("first", then), ("second", now)):
        try:
            content = run.load_last()
        except (ValueError, RuntimeError, OSError) as error:  # each says which file it is
            differences.append(StateDifference("last.pt", f"of the {when} run: {error}"))
            content = None
        contents.append(content)
        if content and run.weights_sha256 not in ("", _digest(content)):
            differences.append(
                StateDifference(
                    "weights",
                    f"the {when} run's checkpoint does not have the digest that was recorded "
                    "with it: one of the two was changed",
                )
            )
    before, after = contents
    if before is not None and after is not None:
        keys = sorted(before.keys() | after.keys(), key=lambda key: (key != "weights", str(key)))
        for key in keys:
            differences += _differ(str(key), before.get(key), after.get(key), tensors)
    elif then.weights_sha256 != now.weights_sha256:
        first, second = (run.weights_sha256[:12] or "none" for run in (then, now))
        differences.append(StateDifference("weights", f"digest {first} -> {second}"))
    return differences


def _digest(content: Mapping[str, Any]) -> str:
    weights = content.get("weights")
    tensors = weights if isinstance(weights, Mapping) else {}
    return digest({str(name): part for name, part in tensors.items() if isinstance(part, Tensor)})


def _differ(name: str, then: Any, now: Any, tensors: list[str]) -> Iterator[StateDifference]:
    """What differs between two nested values, by the dotted names of their parts."""
    if isinstance(then, Tensor) and isinstance(now, Tensor):
        tensors.append(name)
        if what := _tensors_differ(then.detach().cpu(), now.detach().cpu()):
            yield StateDifference(name, what)
    elif isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in [*then, *(key for key in now if key not in then)]:
            if key in then and key in now:
                yield from _differ(f"{name}.{key}", then[key], now[key], tensors)
            else:
                when = "first" if key in then else "second"
                yield StateDifference(f"{name}.{key}", f"only the {when} run has it")
    elif isinstance(then, list | tuple) and isinstance(now, list | tuple):
        if len(then) != len(now):
            yield StateDifference(name, f"{len(then)} -> {len(now)} values")
            return
        for index, (before, after) in enumerate(zip(then, now, strict=True)):
            yield from _differ(f"{name}.{index}", before, after, tensors)
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
    same = torch.isclose(then, now, rtol=0, atol=0, equal_nan=True)
    if then.is_floating_point():  # the zeros of both signs are close, but not to the bit
        same &= (then.signbit() == now.signbit()) | then.isnan()
    if same.all():
        return ""
    many = f"{int((~same).sum())} of {then.numel()} values"
    if then.dtype == torch.bool:
        return many
    distance = (now[~same].double() - then[~same].double()).abs()
    known = distance[~distance.isnan()]
    return f"{many}, by at most {float(known.max()):.3g}" if len(known) else f"{many}, NaN or not"
