"""A recorded run and a recorded sweep, wherever they were read from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Metrics = dict[str, dict[int, float]]
"""Name -> epoch -> value; those of the whole run are at step 0."""


@dataclass(frozen=True)
class RunOutcome:
    """What a run came to.

    Attributes:
        status: `FINISHED`, `FAILED` or `KILLED`.
        metrics: where a step was recorded twice, the later value.
        weights_sha256: digest of the final weights; empty if there are none.
        load_last: reads the checkpoint `last.pt`; None where there is none.
    """

    status: str
    reason: str
    metrics: Metrics
    weights_sha256: str
    load_last: Callable[[], dict[str, Any] | None]


@dataclass(frozen=True)
class Original(RunOutcome):
    """A run as it was recorded.

    Attributes:
        stack: `position` of the run and the `members` of the stack that it trained in: of each
            the dotted keys, with their values, in which the members differ.
    """

    run_id: str
    sweep_id: str
    name: str
    config: dict[str, Any]
    stack: dict[str, Any]
    environment: dict[str, Any]
    tags: dict[str, str]


@dataclass(frozen=True)
class OriginalSweep:
    """A sweep as it was recorded.

    Attributes:
        runs: oldest first.
        settings: what all jobs have alike.
        source: where it was read from, for messages.
    """

    sweep_id: str
    name: str
    runs: list[Original]
    settings: dict[str, Any]
    source: str
