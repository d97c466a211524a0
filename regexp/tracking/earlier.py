"""What an earlier try at a run came to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from regexp.tracking import query

DIVERGED = "diverged"
"""Tag of a run whose loss became NaN: training it again would give the same."""


@dataclass(frozen=True)
class Earlier:
    """What became of a run so far.

    Attributes:
        id: MLflow's.
        fingerprint: of the run.
        status: `FINISHED`, `FAILED`, `KILLED`, or `RUNNING` elsewhere.
        reason: of a failure.
        ended: whether there is nothing left to do: it finished, or its loss became NaN.
        arithmetic: the tag of that name.
        metrics: the last value of each.
    """

    id: str
    fingerprint: str
    status: str
    reason: str
    ended: bool
    arithmetic: str
    metrics: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Any) -> Self:
        """Of MLflow's run."""
        tags, status = run.data.tags, run.info.status
        return cls(
            run.info.run_id,
            tags.get("fingerprint", ""),  # a person may have made a child run as well
            status,
            tags.get("reason", ""),
            status == "FINISHED" or tags.get(DIVERGED) == "true",
            tags.get("arithmetic", ""),
            {name: query.number(value) for name, value in run.data.metrics.items()},
        )

    @classmethod
    def best(cls, runs: Iterable[Any]) -> dict[str, Self]:
        """Fingerprint -> the best of the tries at it: the first that ended, else the last.

        Args:
            runs: MLflow's, oldest first.
        """
        found: dict[str, Self] = {}
        for run in runs:
            one = cls.of(run)
            before = found.get(one.fingerprint)
            if before is None or not before.ended:
                found[one.fingerprint] = one
        return found
