"""Why a run that was made again may have come out differently."""

import math
from collections.abc import Sequence

from regexp.errors import few
from regexp.rerun.environments import EnvironmentDifference, Origin
from regexp.rerun.verify import BitVerdict, MetricDifference

_ROUNDING = 1e-5
"""Relative difference of a metric up to which it may come from the order of sums alone."""

_LIKELY: tuple[Origin, ...] = ("data", "kernel", "code", "library", "arithmetic")
# Other code or libraries seldom change no more than the last digits.
_LIKELY_ROUNDING: tuple[Origin, ...] = ("data", "kernel", "arithmetic", "library", "code")

_GROUPS: dict[Origin, str] = {
    "library": "the libraries: ",
    "arithmetic": "the arithmetic: ",
    "kernel": "what was changed on purpose: ",
}

_UNEXPLAINED = "nothing that is recorded of the environment explains it"


def likely_cause(verdict: BitVerdict, differences: Sequence[EnvironmentDifference]) -> str:
    """In words, which difference of the environment is likely behind that of the results.

    Data come before kernels of the run's layers that were changed on purpose, these before other
    code, code before libraries and these before the arithmetic of another
    processor, unless the results differ by no more than rounding.

    Args:
        differences: of their environments, the likeliest first.

    Returns:
        A clause; empty if the runs are identical.
    """
    if verdict.identical:
        return ""
    first = verdict.first
    size = _size(first)
    for origin in _LIKELY_ROUNDING if size == "rounding" else _LIKELY:
        if whats := [difference.what for difference in differences if difference.kind == origin]:
            group = _GROUPS.get(origin, "")
            return group + few(whats) + _remark(origin, size)
    same_weights = not verdict.weights and (verdict.digest or verdict.tensors)
    if same_weights and first is not None:
        return (
            f"{_UNEXPLAINED}; the weights are the same to the bit, so that both runs trained "
            "alike: a recorded value was probably changed or lost after the first run"
        )
    if not verdict.metrics and verdict.weights:
        return (
            f"{_UNEXPLAINED}; all metrics are the same to the bit, so that the recorded weights "
            "were probably changed after the first run"
        )
    if size == "rounding":
        return (
            f"{_UNEXPLAINED}; the difference is of the size of rounding, which other hardware, "
            "threads or builds of libraries make"
        )
    if size == "large":
        return (
            f"{_UNEXPLAINED}; the difference is too large for rounding: something that is not "
            "recorded changed, such as a user's own code that is not a module, or the store itself"
        )
    return _UNEXPLAINED


def _size(first: MetricDifference | None) -> str:
    """`rounding`, `large`, or "" where it cannot be told: later epochs amplify what was small."""
    if first is None or math.isnan(first.relative):
        return ""
    if first.relative <= _ROUNDING:
        return "rounding"
    return "large" if first.step == 1 else ""


def _remark(origin: Origin, size: str) -> str:
    """What the size of the difference says about the cause."""
    if size == "rounding":
        fits = ", which fits" if origin in ("arithmetic", "library", "kernel") else ""
        return f"; the difference is of the size of rounding{fits}"
    if size == "large" and origin == "arithmetic":
        return "; the difference is larger than rounding makes in one epoch, so look elsewhere too"
    return ""
