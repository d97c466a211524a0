"""Why a run that was made again may have come out differently."""

import math
from collections.abc import Sequence

from regexp.rerun.environments import Difference, Kind
from regexp.rerun.verify import MetricDifference, Verdict

ROUNDING = 1e-5
"""Relative difference of a metric up to which it may come from the order of sums alone."""

_LIKELY: tuple[Kind, ...] = ("data", "code", "library", "arithmetic")
# Other code or libraries seldom change no more than the last digits.
_LIKELY_ROUNDING: tuple[Kind, ...] = ("data", "arithmetic", "library", "code")
_NAMED = 3


def likely_cause(verdict: Verdict, differences: Sequence[Difference]) -> str:
    """In words, which difference of the environment is likely behind that of the results.

    Data come before code, code before libraries and these before the arithmetic of another
    processor, unless the results differ by no more than rounding.

    Args:
        verdict: of two runs.
        differences: of their environments, the likeliest first.

    Returns:
        A clause; empty if the runs are identical.
    """
    if verdict.identical:
        return ""
    first = verdict.first
    size = _size(first)
    for kind in _LIKELY_ROUNDING if size == "rounding" else _LIKELY:
        found = [difference for difference in differences if difference.kind == kind]
        if found:
            return _named(kind, found) + _remark(kind, size)
    same_weights = not verdict.weights and (verdict.digest or verdict.tensors)
    if same_weights and first is not None:
        return (
            "nothing that is recorded of the environment explains it; the weights are the same to "
            "the bit, so that both runs trained alike: a recorded value was probably changed or "
            "lost after the first run"
        )
    if not verdict.metrics and verdict.weights:
        return (
            "nothing that is recorded of the environment explains it; all metrics are the same to "
            "the bit, so that the recorded weights were probably changed after the first run"
        )
    hint = {
        "rounding": "; the difference is of the size of rounding, which other hardware, threads or "
        "builds of libraries make",
        "large": "; the difference is too large for rounding: something that is not recorded "
        "changed, such as a user's own code that is not a module, or the store itself",
        "": "",
    }[size]
    return f"nothing that is recorded of the environment explains it{hint}"


def _size(first: MetricDifference | None) -> str:
    """`rounding`, `large`, or "" where it cannot be told: later epochs amplify what was small."""
    if first is None or math.isnan(first.relative):
        return ""
    if first.relative <= ROUNDING:
        return "rounding"
    return "large" if first.step == 1 else ""


def _named(kind: Kind, found: Sequence[Difference]) -> str:
    """The differences of one kind: the first few, and how many more."""
    named = ", ".join(difference.what for difference in found[:_NAMED])
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return (
        {"library": "the libraries: ", "arithmetic": "the arithmetic: "}.get(kind, "")
        + named
        + more
    )


def _remark(kind: Kind, size: str) -> str:
    """What the size of the difference says about the cause."""
    if size == "rounding" and kind in ("arithmetic", "library"):
        return "; the difference is of the size of rounding, which fits"
    if size == "rounding":
        return "; the difference is of the size of rounding"
    if size == "large" and kind == "arithmetic":
        return "; the difference is larger than rounding makes in one epoch, so look elsewhere too"
    return ""
