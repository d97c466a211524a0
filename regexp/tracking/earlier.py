"""What an earlier try at a run came to."""

from dataclasses import dataclass
from typing import Any, Self

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
    """

    id: str
    fingerprint: str
    status: str
    reason: str
    ended: bool
    arithmetic: str

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
        )
